"""Processes: children of a server that has imported torch and Lightning once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def start(
    target: Callable[..., None], log: Path, environment: Mapping[str, str], *args: Any
) -> tuple[Any, Connection]:
    """Start a process that has torch and Lightning, with a connection to it; variables are added to ours."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seqbench.sweeps.preload"])
    ours, theirs = context.Pipe()
    process = context.Process(
        target=target, args=(theirs, log, dict(os.environ) | dict(environment), *args), daemon=False
    )
    process.start()
    theirs.close()
    return process, ours


def cause(code: int | None) -> str:
    """Return what a process was ended by, from its exit code."""
    if code is not None and code < 0:
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"exit code {code}"
