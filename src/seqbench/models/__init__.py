"""Models: plain PyTorch, free of Hydra, Lightning and W&B; each can be lifted out and used alone."""

from seqbench.models.model import Model
from seqbench.models.seq2seq.model import Seq2Seq
from seqbench.models.sequence import SequenceModel
from seqbench.models.unfold import Cell, State, unfold

__all__ = ["Cell", "Model", "Seq2Seq", "SequenceModel", "State", "unfold"]
