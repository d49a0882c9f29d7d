"""Cells: one file each, holding its equations and its picture."""

from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.deep_transition import DeepTransitionRNN
from seqbench.models.cells.echo_state import EchoState
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.mgu import MGU
from seqbench.models.cells.min_gru import MinGRU
from seqbench.models.cells.mut1 import MUT1
from seqbench.models.cells.rnn import RNN
from seqbench.models.cells.skip import SkipRNN

__all__ = [
    "GRU",
    "LRU",
    "LSTM",
    "MGU",
    "MUT1",
    "RNN",
    "ClockworkRNN",
    "DeepTransitionRNN",
    "EchoState",
    "FeedForward",
    "LeakyRNN",
    "MinGRU",
    "SkipRNN",
]
