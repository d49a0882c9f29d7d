"""Runs: a plan is made of a configuration, its seeds are scheduled, executed, and recorded."""
