"""Which of several processes this is."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Whether this is the process that writes: of those that share a batch, on all machines, the first.

    The names are those under which torchrun, Lightning and Slurm tell a process its number.
    """
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if name in os.environ:
            return int(os.environ[name]) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
    return True
