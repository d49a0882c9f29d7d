"""Runs in a file, one a line: they travel to other machines and into repositories, and count as done there.

A line is what `result.json` holds, as compact JSON: without the checksums of files that stay where they are
and the folders of this machine, and where it is wanted with the content of `metrics.csv` under the key
`curves`. Weights do not travel.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from seqbench.errors import StoreError
from seqbench.runs.files import DamagedFileError, read_checked, set_aside, tidy, write_atomically
from seqbench.runs.inventory import StoredRun
from seqbench.runs.locks import LOCK_FILE, lock
from seqbench.runs.result import Result
from seqbench.runs.store import (
    LOGGER_ID,
    MOST_BYTES,
    RESULT_FILE,
    OldSchemaError,
    damage,
    parse,
    read_result,
    run_folder,
    to_plain,
    write_result,
)

#: The fields that say what a run came to: two runs in which they agree are equal.
NUMBERS = (
    *("status", "solved_at_step", "solved_on_test", "steps", "sequences", "best_step"),
    *("validation", "test", "baseline_loss", "parameters", "state_size"),
)
#: The longest name of a folder, in bytes.
LONGEST_NAME = 255

#: What became of a run that was to be imported. `there`: it was done already, with the same numbers, or has
#: failed and would replace something; `differing`: it was done, with other numbers.
Outcome = Literal["imported", "there", "differing", "running"]


def export_runs(
    runs: Iterable[StoredRun], path: Path, curves: bool, warn: Callable[[str], object]
) -> tuple[int, Counter[str]]:
    """Write the runs that have ended into a file, compressed if its name ends in `.gz`.

    Args:
        runs: in the order of the lines.
        path: the file. What was there is replaced.
        curves: whether `metrics.csv` travels too.
        warn: called with a sentence about each run whose curves cannot travel.

    Returns:
        how many were written, and by status how many have not ended and were left out.

    Raises:
        StoreError: none has ended, or the file cannot be written.
    """
    lines, left = [], Counter[str]()
    for run in runs:
        if run.result is None or run.status == "orphan":
            left[run.status] += 1
        else:
            beside = _curves_of(run.folder, run.result, warn) if curves else {}
            its = replace(run.result, config=_without_folders(run.result.config), sha256={})
            data = to_plain(its, **beside)
            lines.append(json.dumps(data, separators=(",", ":")) + "\n")
    if not lines:
        raise StoreError("none of these runs has ended, so that there is nothing to export.")
    content = "".join(lines).encode()
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return len(lines), left


def _without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration that says the name alone of an absolute path: `/home/me/x.csv` is `x.csv`.

    What lies before it means nothing elsewhere.
    """
    from seqbench.config.identity import PLACES  # Hydra, which takes long to import

    found = deepcopy(config)
    for dotted in ("runs_dir", "data_dir", *PLACES):
        *path, last = dotted.split(".")
        node = found
        for key in path:
            node = node.get(key, {})
        if isinstance(node.get(last), str) and Path(node[last]).is_absolute():
            node[last] = Path(node[last]).name
    return found


def _curves_of(folder: Path, result: Result, warn: Callable[[str], object]) -> dict[str, str]:
    """Return what `metrics.csv` adds to a line; nothing where it is not there or not what the run wrote."""
    path, expected = folder / "metrics.csv", result.sha256.get("metrics.csv")
    if expected is None or not path.exists():
        return {}
    try:
        curves = read_checked(path, expected).decode()
    except (DamagedFileError, UnicodeDecodeError):
        curves = ""
    if is_curves(curves):
        return {"curves": curves}
    warn(f"{damage(path)} It is left out.")
    return {}


@dataclass(frozen=True)
class Entry:
    """A line of a file: the run, its `metrics.csv` or None, and where the line is, for errors."""

    result: Result
    curves: str | None
    where: str


def import_runs(path: Path, runs_dir: Path, warn: Callable[[str], object]) -> Counter[Outcome]:
    """Put the runs of a file into the folders where they belong. A run that is done there is left alone.

    Args:
        path: a file that `export_runs` wrote.
        runs_dir: the folder of all runs.
        warn: called with a sentence about each run that is left alone though it is not the same.

    Returns:
        what became of the runs.

    Raises:
        StoreError: a line is damaged, was stored under another schema, or names a place elsewhere, or another
            run lies in its place: then nothing is written. Or a file cannot be read or written.
    """
    entries = read_export(path)
    for entry in entries:
        _there(_folder(runs_dir, entry.result), entry)
    return Counter(_import(entry, _folder(runs_dir, entry.result), warn) for entry in entries)


def read_export(path: Path) -> list[Entry]:
    """Return the runs in a file that `export_runs` wrote.

    Raises:
        StoreError: there is none, or a line is damaged, was stored under another schema, or names a place
            elsewhere; or the file cannot be read.
    """
    entries = [_entry(line, f"line {n} of {path}") for n, line in enumerate(_lines(path), 1)]
    if not entries:
        raise StoreError(f"{path} holds no runs.")
    return entries


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, none longer than a result may be."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            number = 1
            while line := file.readline(MOST_BYTES + 1):
                if len(line) > MOST_BYTES:
                    raise DamagedFileError(f"line {number} of {path} is longer than that of any run.")
                yield line
                number += 1
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedFileError(f"{path} is damaged: it is no whole gzip file.") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}.") from error


def _entry(line: bytes, where: str) -> Entry:
    """Return what a line holds, once all is checked."""
    result = parse(line, where)
    if not re.fullmatch(r"[0-9a-f]{64}", result.identity) or result.identity[:8] != result.hash:
        raise StoreError(f"{where} is the result of another run: its hash and its identity do not agree.")
    names = re.split(r"[/\\]", result.task) + re.split(r"[/\\]", result.model)
    if result.seed < 0 or not _can_be_named(result) or any(name in ("", ".", "..") for name in names):
        raise StoreError(
            f"{where} names a place that no run has: task {result.task!r}, model {result.model!r}, "
            f"seed {result.seed}."
        )
    curves = json.loads(line).get("curves")
    if curves is not None and not is_curves(curves):
        raise DamagedFileError(f"{where} is damaged: its curves are none.")
    return Entry(result, curves, where)


def _can_be_named(result: Result) -> bool:
    try:
        parts = map(os.fsencode, run_folder(result.task, result.model, result.hash).parts)
        return all(len(part) <= LONGEST_NAME for part in parts)
    except UnicodeEncodeError:
        return False


def is_curves(content: Any) -> bool:
    """Return whether a value is the content of a `metrics.csv`: columns with names, rows of numbers.

    The steps are whole and ascend from row to row.
    """
    try:
        content.encode()
        names, *rows = csv.reader(content.splitlines(), strict=True)
        numbers = [float(cell) for row in rows for cell in row if cell]
        steps = [float(row[names.index("step")]) for row in rows]
    except (AttributeError, ValueError, IndexError, csv.Error):
        return False
    whole = all(0 <= step < 2**53 and step.is_integer() for step in steps)
    ascend = all(before < after for before, after in pairwise(steps))
    return whole and ascend and bool(numbers) and all(len(row) == len(names) for row in rows)


def _folder(runs_dir: Path, result: Result) -> Path:
    return runs_dir / run_folder(result.task, result.model, result.hash) / f"seed-{result.seed}"


def _there(folder: Path, entry: Entry) -> Result | None:
    """Return the result that lies where a run is to go; None where there is none that can be read.

    Raises:
        StoreError: it is that of another run.
    """
    try:
        found = read_result(folder)
    except (DamagedFileError, OldSchemaError):
        return None
    if found is not None and found.identity != entry.result.identity:
        raise StoreError(
            f"{folder / RESULT_FILE} is the result of another configuration with the hash of "
            f"{entry.where}; move it away."
        )
    return found


def _import(entry: Entry, folder: Path, warn: Callable[[str], object]) -> Outcome:
    """Put a run into its folder, unless it is done there."""
    if (outcome := _done(entry, folder, warn)) is not None:
        return outcome
    try:
        with ExitStack() as locks:
            if not lock(folder, locks):
                warn(f"{folder} is being trained by another process, and is left alone.")
                return "running"
            if (outcome := _done(entry, folder, warn)) is not None:  # by now
                return outcome
            if entry.result.status == "failed" and any(path.name != LOCK_FILE for path in folder.iterdir()):
                return "there"
            tidy(folder, (RESULT_FILE, "metrics.csv", "config.yaml"))
            _clear(folder, warn)
            if entry.curves is not None:
                write_atomically(folder / "metrics.csv", entry.curves)
            write_result(folder, entry.result)
    except OSError as error:
        raise StoreError(f"cannot write in {folder}: {error.strerror}.") from error
    return "imported"


def _done(entry: Entry, folder: Path, warn: Callable[[str], object]) -> Outcome | None:
    """Return how a run that is done in a folder compares with one that is to go there; None if it is not."""
    found = _there(folder, entry)
    if found is None or found.status == "failed":
        return None
    differing = [name for name in NUMBERS if getattr(found, name) != getattr(entry.result, name)]
    if not differing:
        return "there"
    warn(f"{folder} is done there with another {', '.join(differing)}, and is left alone.")
    return "differing"


def _clear(folder: Path, warn: Callable[[str], object]) -> None:
    """Take away what a run that was stopped or failed has left, which is not of the run that is imported."""
    try:
        read_result(folder)
    except StoreError as error:
        warn(f"{error} It is moved to {set_aside(folder / RESULT_FILE).name}.")
    for name in ("config.yaml", "metrics.csv", LOGGER_ID):
        (folder / name).unlink(missing_ok=True)
    if (folder / "checkpoints").is_dir():
        shutil.rmtree(folder / "checkpoints")
