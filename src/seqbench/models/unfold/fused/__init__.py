"""The engine of compiled cells.

nodes, graph  the graph of a step: products with weights, pointwise operations
trace         a cell's step as a graph
operations    the operations of torch as nodes of a graph
recipe        what depends on weights alone, which torch computes before the first step
derivative    the graph of the gradient
program       what the C source of a cell is made of
source        the C source of a cell, and what its way back needs
passes        the C functions that go through all steps, forward and back
write         the C source of one step
kernel.h      what they are built on: exp, tanh; and products.c, products in registers
library       compiles, caches and loads
function      the C functions as a function of torch
run           unfolds a cell by it
check         a user's kernel against the loop
engine        which cells have a kernel, and whether it is still theirs
"""

from seqbench.models.unfold.fused.check import what_forbids_pieces, what_forbids_sharing
from seqbench.models.unfold.fused.engine import is_tested, kernel
from seqbench.models.unfold.fused.function import Kernel
from seqbench.models.unfold.fused.library import CompileError, NoCompilerError, compiler, compiler_obstacle
from seqbench.models.unfold.fused.nodes import NotCoveredError
from seqbench.models.unfold.fused.run import run_fused

__all__ = [
    "CompileError",
    "Kernel",
    "NoCompilerError",
    "NotCoveredError",
    "compiler",
    "compiler_obstacle",
    "is_tested",
    "kernel",
    "run_fused",
    "what_forbids_pieces",
    "what_forbids_sharing",
]
