"""Runs: planned, scheduled, executed, and recorded in the store."""
