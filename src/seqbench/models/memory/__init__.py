"""Networks with an explicit memory: cells that are addressed, read and written."""

from seqbench.models.memory.memn2n import MemN2N
from seqbench.models.memory.memory_network import MemoryNetwork
from seqbench.models.memory.ntm import NTM

__all__ = ["NTM", "MemN2N", "MemoryNetwork"]
