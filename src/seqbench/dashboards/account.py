"""Whose account of Weights & Biases' is used, and by which process."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stderr
from functools import cache
from typing import Any

from seqbench.errors import one_line

#: Why its server cannot be asked, where there is no key.
NOBODY = "nobody is logged in"


def problem() -> str:
    """Return why W&B's server may not or cannot be asked; nothing where it can."""
    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "dryrun", "disabled"):
        return f"the environment variable WANDB_MODE={mode} forbids it"
    return login_problem()


@cache
def login_problem() -> str:
    """Return why W&B's server cannot be asked; nothing where somebody is logged in and it answers."""
    try:
        with redirect_stderr(io.StringIO()):  # it says where it has found a key
            return "" if client().login(prompt=False) else NOBODY
    except Exception as error:  # a malformed key, a server that does not answer
        return one_line(error)


def client() -> Any:
    """Return the package, which serves this process alone.

    W&B's service, a process of its own, is handed on to child processes by a variable. There the run of a
    child that was killed goes on, and its id is in use for as long as the parent lives. A service that
    `wandb beta core start` has started belongs to no process that lives, and is used.
    """
    found = re.match(r"\d+-(\d+)-", os.environ.get("WANDB_SERVICE", ""))
    if found and int(found[1]) != os.getpid() and _lives(int(found[1])):
        del os.environ["WANDB_SERVICE"]
    import wandb

    return wandb


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    return True
