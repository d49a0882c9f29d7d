"""`seqbench report`: compare the runs in a folder."""

from seqbench.results.report import main

__all__ = ["main"]
