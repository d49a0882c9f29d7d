"""What a part comes to, and processes of their own."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

Row = dict[str, object]


@dataclass
class Outcome:
    """What a part came to.

    rows: of its table.
    failed: what failed, a sentence each.
    left_out: why the part was not gone through.
    """

    rows: list[Row] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left_out: str | None = None

    def __str__(self) -> str:
        if self.left_out is not None:
            return f"left out: {self.left_out}"
        more = f", and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
        return f"{self.failed[0]}{more}" if self.failed else "ok"


class ProcessError(Exception):
    """A function that ran in a process of its own did not return."""


def apart(function: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
    """Return what a function returns in a process of its own.

    After some of its errors a GPU serves a process no more, and a failed capture leaves torch's allocator
    in disorder: what comes next has to be another process.

    Args:
        function: of a module; with its arguments it can be pickled.
        arguments: its arguments.
        seconds: how long it may take.

    Raises:
        ProcessError: it raised an error, took longer, or the process died.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise ProcessError(f"took more than {seconds:.0f} s")
        returned, found = receiver.recv()
        process.join(10)
    except EOFError:
        process.join(10)
        raise ProcessError(f"its process died with exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if not returned:
        raise ProcessError(found)
    return found


def _call(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        sender.send((True, function(*arguments)))
    except Exception as error:
        traceback.print_exc()
        sender.send((False, reason(error)))


def reason(error: BaseException) -> str:
    """Return the first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def distance(found: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """Return the largest distance between two lists of tensors: as a share of the largest number above 1.

    A number that is not finite is infinitely far from any other.
    """
    far = 0.0
    for ours, theirs in zip(found, expected, strict=True):
        a, b = (part.detach().cpu() for part in (ours, theirs))
        a, b = (part.to(torch.complex128 if part.is_complex() else torch.float64) for part in (a, b))
        if not b.numel():
            continue
        scale = b[b.isfinite()].abs().max().clamp_min(1) if b.isfinite().any() else 1
        same = (a == b) | (a.isnan() & b.isnan())
        its = ((a - b).abs() / scale).nan_to_num(nan=torch.inf, posinf=torch.inf)
        far = max(far, torch.where(same, 0, its).max().item())
    return far
