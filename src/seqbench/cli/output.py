"""The streams of a command: they may be closed, may close, or may not know every character."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper


def open_streams() -> None:
    """Make both streams ones that can be written to.

    One that was closed (`>&-`) goes nowhere. Its number is taken first, so that no file gets it, into which
    a library would then print. A character that the encoding lacks is written as `?`.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)  # the processes of a sweep print to it
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
