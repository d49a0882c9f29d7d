"""What the tests of sweeps share: the command line, run in this process."""

from tests.cli.conftest import seqbench

__all__ = ["seqbench"]
