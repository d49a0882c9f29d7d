"""Processes: children of a server that has imported torch and Lightning once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from seqbench.errors import StoreError, one_line

#: The variable that tells the server whose it is.
LAUNCHER = "SEQBENCH_LAUNCHER"
#: How often a start is tried, and the seconds after the first time; each time they are twice as many.
ATTEMPTS, PAUSE = 5, 0.1

#: What the server imports.
_preloaded = ["seqbench.sweeps.preload"]


def preload(*modules: str) -> None:
    """Let the server import more modules than torch and Lightning, if it is not running yet."""
    _preloaded.extend(module for module in modules if module not in _preloaded)


def start(
    target: Callable[..., None], log: Path, environment: Mapping[str, str], *args: Any
) -> tuple[Any, Connection]:
    """Start a process that has torch and Lightning, with a connection to it; variables are added to ours.

    Raises:
        StoreError: none can be started.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_preloaded)
    variables = dict(os.environ) | dict(environment)
    os.environ[LAUNCHER] = str(os.getpid())
    for attempt in range(ATTEMPTS):
        ours, theirs = context.Pipe()
        process = context.Process(target=target, args=(theirs, log, variables, *args))
        try:
            process.start()
            return process, ours
        except (EOFError, OSError) as error:
            # The server was killed just now. Once that is known, the next start starts it again.
            ours.close()
            if attempt == ATTEMPTS - 1:
                raise StoreError(
                    f"no process can be started: {one_line(error)}. If memory is short, "
                    "hydra.launcher.n_jobs=1 takes less of it."
                ) from error
            time.sleep(PAUSE * 2**attempt)
        finally:
            theirs.close()
    raise AssertionError


def cause(code: int | None) -> str:
    """Return what a process was ended by, from its exit code."""
    if code is not None and code < 0:
        known = -code in {*signal.Signals}  # those of real time have no names
        return f"signal {-code}" + (f", {signal.Signals(-code).name}" if known else "")
    return f"exit code {code}"
