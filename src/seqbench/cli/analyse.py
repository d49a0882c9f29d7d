"""`seqbench analyse`: what goes on inside models."""

from seqbench.analysis.command import main

__all__ = ["main"]
