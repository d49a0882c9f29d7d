"""The start of runs of Weights & Biases': what its variables say, what it refuses, whether it is online."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any

from seqbench.errors import one_line, say_once
from seqbench.training.loggers.base import cut

#: What the environment variable WANDB_MODE may be.
WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")
ONLINE = ("online", "run")
#: The most characters that W&B takes.
LONGEST_TAG, LONGEST_NAME = 64, 128
#: W&B's settings that have another default here, each with the environment variable that sets it. A list of
#: all packages takes a third of a second, and the versions that decide are in result.json.
SETTINGS: dict[str, tuple[Any, str]] = {
    "silent": (True, "WANDB_SILENT"),
    "console": ("off", "WANDB_CONSOLE"),
    "init_timeout": (30, "WANDB_INIT_TIMEOUT"),
    "x_save_requirements": (False, "WANDB_X_SAVE_REQUIREMENTS"),
}
#: Why its server cannot be asked, where there is no key.
NOBODY = "nobody is logged in"


def check_wandb(
    project: str | None = None,
    entity: str | None = None,
    mode: str = "auto",
    tags: Sequence[str] = (),
    required: bool | None = None,
    n_seeds: int = 1,
) -> None:
    """Raise a ValueError for what W&B refuses, without starting it.

    Args:
        project, entity, mode, tags, required: as for `wandb`.
        n_seeds: runs of the configuration.
    """
    given = os.environ.get("WANDB_MODE")
    if given and given not in WANDB_MODES:
        raise ValueError(f"the environment variable WANDB_MODE={given} is none of {', '.join(WANDB_MODES)}")
    name = or_variable(project, "WANDB_PROJECT", "seqbench")
    if not name or len(name) > LONGEST_NAME or set(name) & set("/\\#?%:"):
        what = "project" if project is not None else "the environment variable WANDB_PROJECT"
        raise ValueError(f"{what}={name} must have 1 to {LONGEST_NAME} characters, none of / \\ # ? % :")
    for what, its in (("tags", tags), ("the environment variable WANDB_TAGS", _more_tags())):
        for tag in its:
            if not 1 <= len(tag) <= LONGEST_TAG:
                raise ValueError(f"{what}={tag} must be of 1 to {LONGEST_TAG} characters each")
    if not Path(os.path.expanduser("~")).is_dir():  # noqa: PTH111 - pathlib raises where nobody has one
        raise ValueError("there is no home folder, where W&B keeps its settings")
    if folder := os.environ.get("WANDB_DIR"):
        _check_folder(Path(folder))
    if in_sweep() and n_seeds > 1:
        raise ValueError(
            f"the agent of a W&B sweep gives each process one run, and n_seeds={n_seeds} asks for more; sweep"
            " over seed instead"
        )
    if mode_of(mode) in ONLINE and (problem := login_problem()):
        asked = f"mode={mode}" if mode != "auto" else f"the environment variable WANDB_MODE={given}"
        raise ValueError(
            f"{asked} asks for W&B's server, and {problem}; run `wandb login`, or give mode=offline"
        )


def _check_folder(folder: Path) -> None:
    """Raise a ValueError where W&B would silently write into a folder for temporary files instead."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(0, "permission denied")
    except OSError as error:
        raise ValueError(
            f"the environment variable WANDB_DIR={folder} names no folder that can be written: "
            f"{error.strerror}"
        ) from error


def or_variable(value: str | None, variable: str, default: str | None = None) -> str | None:
    """Return a value; where there is none that of an environment variable, or else a default."""
    return value if value is not None else os.environ.get(variable) or default


def mode_of(mode: str) -> str:
    """Return the mode, or for auto that of the environment; auto where that has none."""
    return (os.environ.get("WANDB_MODE") or mode) if mode == "auto" else mode


def in_sweep() -> bool:
    """Whether the agent of a W&B sweep has started this process."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


def _more_tags() -> list[str]:
    return [tag for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag]


def start(
    id: str,
    name: str,
    group: str,
    job_type: str,
    config: dict[str, Any],
    runs_dir: Path,
    tags: Sequence[str] = (),
    project: str | None = None,
    entity: str | None = None,
    mode: str = "auto",
) -> Any:
    """Start a run of W&B's and return it, a `wandb.Run`. W&B's variables count where nothing is said.

    Args:
        id: of the run, the same when it is resumed.
        name: which readers see.
        group, job_type, config: as W&B has them.
        runs_dir: where its folder lies, unless WANDB_DIR says so.
        tags, project, entity, mode: as for `wandb`.
    """
    client = _client()
    settings = {key: value for key, (value, variable) in SETTINGS.items() if variable not in os.environ}
    options: dict[str, Any] = {
        "name": cut(or_variable(None, "WANDB_NAME", name) or "", LONGEST_NAME),
        # Its service may run in another folder.
        "dir": str(Path(os.environ.get("WANDB_DIR") or runs_dir).absolute()),
        "group": cut(or_variable(None, "WANDB_RUN_GROUP", group) or "", LONGEST_NAME),
        "job_type": or_variable(None, "WANDB_JOB_TYPE", job_type),
        "tags": [*tags, *_more_tags()],
        "config": config,
        "settings": client.Settings(**settings),
        "reinit": "create_new",  # each of the seeds that train together has a run
    }
    if not in_sweep():  # its agent says which run this is, and of which project
        options |= {
            "project": or_variable(project, "WANDB_PROJECT", "seqbench"),
            "entity": or_variable(entity, "WANDB_ENTITY"),
            "id": id,
        }
    chosen: Any = mode_of(mode)
    if chosen in ONLINE:
        return _online(chosen, options)
    if chosen != "auto":
        return _init(mode=chosen, **options)
    if problem := login_problem():
        if problem != NOBODY:
            say_once(f"runs are logged offline, for W&B cannot be asked: {problem}.")
        return _init(mode="offline", **options)
    try:
        return _online("online", options)
    except client.errors.CommError:
        say_once("W&B does not answer; runs are logged offline, and `wandb sync` uploads them later.")
        # The id is in use in this process from now on.
        return _init(mode="offline", **options | {"id": f"{id}-offline"})


def _online(mode: str, options: dict[str, Any]) -> Any:
    run = _init(mode=mode, resume="allow", **options)
    say_once(f"W&B shows runs at {run.project_url}")
    return run


def earlier(run: Any) -> list[Path]:
    """Return the folders of the same run from before it was started again, those of offline runs."""
    own = Path(run.settings.sync_dir)
    found = own.parent.glob(f"offline-run-*-{escape(run.id)}*")
    return sorted(folder for folder in found if folder.name != own.name)


def remove_earlier(run: Any) -> None:
    """Remove those folders, so that `wandb sync` finds one run."""
    for folder in earlier(run):
        shutil.rmtree(folder, ignore_errors=True)


def _init(**options: Any) -> Any:
    """Return `wandb.init(**options)`. A run that this process has just finished may still be in use."""
    import wandb as client

    for seconds in (0.1, 0.5, 2.0, 5.0):
        try:
            return client.init(**options)
        except client.errors.Error as error:
            if "in use" not in str(error):
                raise
            time.sleep(seconds)
    return client.init(**options)


@cache
def login_problem() -> str:
    """Return why W&B's server cannot be asked; nothing where somebody is logged in and it answers."""
    try:
        return "" if _client().login(prompt=False) else NOBODY
    except Exception as error:  # a malformed key, a server that does not answer
        return one_line(error)


def _client() -> Any:
    """Return the package, which serves this process alone.

    W&B's service, a process of its own, is handed on to child processes by a variable. There the run of a
    child that was killed goes on, and its id is in use for as long as the parent lives. A service that
    `wandb beta core start` has started belongs to no process that lives, and is used.
    """
    found = re.match(r"\d+-(\d+)-", os.environ.get("WANDB_SERVICE", ""))
    if found and int(found[1]) != os.getpid() and _lives(int(found[1])):
        del os.environ["WANDB_SERVICE"]
    import wandb as client

    return client


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    return True
