"""Cells, and unfolding them over time."""

from seqbench.models.unfold.cell import Cell, Engine, State, StateOf, Step
from seqbench.models.unfold.engines import check_engine, chosen_engine, unfold
from seqbench.models.unfold.valid import last_valid, reverse_valid

__all__ = [
    "Cell",
    "Engine",
    "State",
    "StateOf",
    "Step",
    "check_engine",
    "chosen_engine",
    "last_valid",
    "reverse_valid",
    "unfold",
]
