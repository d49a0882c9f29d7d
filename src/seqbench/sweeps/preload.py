"""Imported by the server whose children train, before the first of them: each has it then, at no cost."""

import ctypes
import os
import signal
import sys
from importlib import import_module

from seqbench.sweeps.processes import LAUNCHER

#: Linux: which signal a process gets when its parent ends.
PR_SET_PDEATHSIG = 1

# Elsewhere the server sees that it is alone after these imports only, which take seconds.
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = str(os.getppid())
    if os.environ.get(LAUNCHER, parent) != parent:  # it has ended before it could be waited for
        os._exit(1)

for name in (
    *("seqbench.runs.schedule", "seqbench.training.progress"),
    *("hydra.core.override_parser.overrides_parser", "pydantic.dataclasses"),  # which configurations need
):
    import_module(name)
