"""The command line: `seqbench task=adding model=lstm`, `seqbench report`, `seqbench analyse`, …"""

from seqbench.cli.dispatch import main

__all__ = ["main"]
