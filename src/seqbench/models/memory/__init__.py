"""Networks with an explicit memory, which they address, read and write."""

from seqbench.models.memory.memn2n import MemN2N
from seqbench.models.memory.memory_network import MemoryNetwork
from seqbench.models.memory.ntm import NTM

__all__ = ["NTM", "MemN2N", "MemoryNetwork"]
