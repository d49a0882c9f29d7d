"""Sequences in tables: a file of one's own, or a data set of the hub by its columns."""
