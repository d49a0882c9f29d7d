"""Comparison of stored runs: the tidy frame, statistics, summaries, tables and figures."""
