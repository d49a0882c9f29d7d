"""The inventory: which runs lie in a folder, and how far each has come. Torch is not needed."""

from __future__ import annotations

import math
import os
import re
import shutil
import statistics
from collections import defaultdict
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from seqbench.errors import StoreError
from seqbench.runs.files import DamagedFileError, read
from seqbench.runs.locks import LOCK_FILE, is_locked, lock
from seqbench.runs.result import Result
from seqbench.runs.store import (
    MOST_BYTES,
    RESULT_FILE,
    MisplacedError,
    OldSchemaError,
    check_config,
    read_result,
    seed_folders,
)

#: How a run stands. `running`: a living process holds the lock of its folder. `stopped`: it has no result and
#: no such process. `orphan`: it has a result that no configuration finds again.
Status = Literal["solved", "finished", "diverged", "failed", "running", "stopped", "orphan"]
STATUSES: tuple[Status, ...] = get_args(Status)
#: The folder of a run, below that of all runs and its task.
RUN = re.compile(r"(?P<model>[^/]+)-(?P<hash>[0-9a-f]{8})/seed-(?P<seed>\d+)")
#: The greatest size of a configuration, in bytes.
MOST_CONFIG = 2**20
#: A run is slow below this part of the median speed of at least so many runs of its configuration.
SLOW, LEAST = 0.5, 3


@dataclass(frozen=True)
class StoredRun:
    """A run that lies in a folder.

    Attributes:
        folder: `<runs_dir>/<task>/<model>-<hash>/seed-<n>`.
        task, model: the presets; where no result says so, as the folder has them.
        hash, seed: likewise.
        status: how it stands.
        why: of an orphan, in a word: the schema of its result, `damaged`, `unreadable`, `misplaced` in the
            folder of another run, or an `identity` that does not go with its hash.
        result: how it ended; None where there is no result that can be read.
        steps: optimisation steps taken; of a run without a result as of its last evaluation.
        seconds: time taken so far, likewise.
        speed: steps a second up to the last evaluation, evaluations included; None where that is not known.
        bytes: the size of its files.
        written: when it ended; of a run without a result when a file of it was last written.
        slow: whether it is much slower than other runs of its configuration.
    """

    folder: Path
    task: str
    model: str
    hash: str
    seed: int
    status: Status
    why: str
    result: Result | None
    steps: int
    seconds: float
    speed: float | None
    bytes: int
    written: datetime
    slow: bool = False

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration; empty where neither `result.json` nor `config.yaml` is what a run writes."""
        if self.result is not None:
            return self.result.config
        try:
            found = yaml.safe_load(read(self.folder / "config.yaml", MOST_CONFIG))
            check_config(found)
        except (FileNotFoundError, StoreError, yaml.YAMLError):
            return {}
        except (ValueError, TypeError, AttributeError, RecursionError):  # it is no configuration
            return {}
        return dict(found)


def inventory(place: Path) -> list[StoredRun]:
    """Return the runs in a folder, ordered by task, configuration and seed.

    Args:
        place: the folder of all runs, of a task, of a configuration, or of one run.
    """
    runs = [_look(folder) for folder in seed_folders(place) if _is_run(folder)]
    slow = _slow(runs)
    marked = [replace(run, slow=run.folder in slow) for run in runs]
    return sorted(marked, key=lambda run: (run.task, run.model, run.hash, run.seed))


def _slow(runs: Iterable[StoredRun]) -> set[Path]:
    """Return the folders of the runs that are much slower than other runs of their configuration."""
    speeds: dict[Path, dict[Path, float]] = defaultdict(dict)
    for run in runs:
        if run.speed is not None:
            speeds[run.folder.parent][run.folder] = run.speed
    return {
        folder
        for group in speeds.values()
        if len(group) >= LEAST
        for folder, speed in group.items()
        if speed < SLOW * statistics.median(group.values())
    }


def check_removable(run: StoredRun) -> None:
    """Raise a StoreError where a run's folder is a link or lies behind one, below the folder of all runs."""
    for place in (run.folder, *run.folder.absolute().parents[:2]):
        if place.is_symlink():
            raise StoreError(f"{place} is a link, and what lies behind it is not removed.")


def remove(run: StoredRun) -> bool:
    """Remove the folder of a run, and those of its configuration and task once they are empty.

    Returns:
        whether it was removed: a run that a process is training stays.

    Raises:
        StoreError: it lies behind a link, or something in it cannot be removed.
    """
    check_removable(run)
    try:
        with ExitStack() as locks:
            if not lock(run.folder, locks):
                return False
            # The result goes first: what a kill leaves is a run that was stopped, not one that is done.
            (run.folder / RESULT_FILE).unlink(missing_ok=True)
            for path in run.folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != LOCK_FILE:
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot remove {run.folder}: {error.strerror}.") from error
    return True


def _is_run(folder: Path) -> bool:
    return RUN.fullmatch("/".join(folder.absolute().parts[-2:])) is not None


def _look(folder: Path) -> StoredRun:
    """Return what is known of the run in a folder."""
    task, group, _ = folder.absolute().parts[-3:]
    named = RUN.fullmatch(f"{group}/{folder.absolute().name}")
    assert named is not None
    model, hash, seed = named["model"], named["hash"], int(named["seed"])
    result, why = None, ""
    try:
        result = read_result(folder)
    except OldSchemaError as error:
        why = f"schema {error.schema}"
    except DamagedFileError:
        why = "damaged"
    except MisplacedError:
        why = "misplaced"
    except StoreError:
        why = "unreadable"
    if result is not None:
        task, model = result.task, result.model
        if result.identity[:8] != result.hash:
            why = "identity"
    status: Status = "orphan" if why else "stopped" if result is None else result.status
    if status in ("orphan", "stopped", "failed") and is_locked(folder):
        status, why, result = "running", "", None
    steps, seconds = reached(folder)
    speed = steps / seconds if seconds > 0 else None
    if result is not None:
        steps, seconds = result.steps, result.wall_time_s
    size, newest = _files(folder)
    written = datetime.fromtimestamp(newest, UTC)
    if result is not None:
        with suppress(ValueError, OverflowError):
            written = datetime.fromisoformat(result.finished_at).astimezone(UTC)
    return StoredRun(
        *(folder, task, model, hash, seed, status, why, result),
        *(steps, seconds, speed, size, written),
    )


def reached(folder: Path) -> tuple[int, float]:
    """Return the step of the last evaluation in `metrics.csv` and the seconds up to it; (0, 0.0) for none."""
    try:
        lines = read(folder / "metrics.csv", MOST_BYTES).decode().splitlines()
    except (FileNotFoundError, StoreError, ValueError):
        return 0, 0.0
    for line in reversed(lines[1:][-2:]):  # the last may be half written
        row = dict(zip(lines[0].split(","), line.split(","), strict=False))
        with suppress(KeyError, ValueError):
            step, seconds = int(row["step"]), float(row["seconds"])
            if math.isfinite(seconds):
                return step, seconds
    return 0, 0.0


def _files(folder: Path) -> tuple[int, float]:
    """Return the bytes of the files in a folder, and when one was last written, in seconds since 1970."""
    size, newest = 0, 0.0
    for place, _, names in os.walk(folder):
        for path in (folder, *(Path(place, name) for name in names)):
            with suppress(OSError):  # it may be gone by now
                found = path.lstat()
                size += found.st_size if path != folder else 0
                newest = max(newest, found.st_mtime)
    return size, newest
