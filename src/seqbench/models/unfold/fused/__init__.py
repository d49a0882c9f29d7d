"""The engine of compiled cells.

trace       a cell's step as a graph: products with weights, pointwise operations
graph       the nodes of such graphs
derivative  the graph of the gradient
source      the C functions that go through all steps, forward and back
write       the C source of one step
kernel.h    what they are built on: products in registers, exp, tanh
library     compiles, caches and loads
function    the C functions as a function of torch
engine      unfolds a cell by it
"""

from seqbench.models.unfold.fused.engine import is_tested, kernel
from seqbench.models.unfold.fused.function import Kernel
from seqbench.models.unfold.fused.library import NoCompilerError, compiler_obstacle
from seqbench.models.unfold.fused.nodes import NotCoveredError
from seqbench.models.unfold.fused.run import run_fused

__all__ = [
    "Kernel",
    "NoCompilerError",
    "NotCoveredError",
    "compiler_obstacle",
    "is_tested",
    "kernel",
    "run_fused",
]
