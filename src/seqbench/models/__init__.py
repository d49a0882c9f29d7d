"""Models: plain PyTorch, free of Hydra, Lightning and W&B; each can be lifted out and used alone."""

from seqbench.models.echo_state import EchoStateNetwork
from seqbench.models.seq2seq import Seq2Seq
from seqbench.models.sequence import SequenceModel
from seqbench.models.unfold import Cell, State, unfold

__all__ = ["Cell", "EchoStateNetwork", "Seq2Seq", "SequenceModel", "State", "unfold"]
