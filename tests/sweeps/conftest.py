"""What the tests of sweeps share: the command line, run in this process, and the commands of a cluster."""

from tests.cli.conftest import seqbench
from tests.sweeps.fake_slurm import cluster

__all__ = ["cluster", "seqbench"]
