"""Models: plain PyTorch, free of Hydra, Lightning and W&B; each can be lifted out and used alone."""

from seqbench.models.echo_state import EchoStateNetwork
from seqbench.models.sequence import SequenceModel
from seqbench.models.unfold import Cell, State, unfold

__all__ = ["Cell", "EchoStateNetwork", "SequenceModel", "State", "unfold"]
