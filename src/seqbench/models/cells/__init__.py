"""Cells: one file each, holding its equations and its picture."""

from seqbench.models.cells.gru import GRU
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.min_gru import MinGRU
from seqbench.models.cells.rnn import RNN

__all__ = ["GRU", "LRU", "LSTM", "RNN", "LeakyRNN", "MinGRU"]
