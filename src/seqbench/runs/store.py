"""The store: one folder per run, `runs/<task>/<model>-<hash>/seed-<k>/`. Its result is written last.

A result says what it is the result of, and holds checksums: of itself and of the other files of its folder.
"""

from __future__ import annotations

import json
import math
import os
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.errors import StoreError
from seqbench.runs.files import DamagedFileError, checksum, read, read_checked, write_atomically
from seqbench.runs.result import SCHEMA, Result

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter

RESULT_FILE = "result.json"
BEST_WEIGHTS = "checkpoints/best.pt"
#: The other files of a finished run, whose checksums its result holds.
OTHER_FILES = ("config.yaml", "metrics.csv", BEST_WEIGHTS)
#: The file that holds the id by which loggers know a run, until it has a result.
LOGGER_ID = "logger-id"
#: Where the folders of runs lie in a place: in that of all runs, of a task, or of a configuration.
PATTERNS = ("*/*-*/seed-*", "*-*/seed-*", "seed-*")
#: The greatest size of a result, in bytes.
MOST_BYTES = 64 * 2**20


def _plain(value: Any) -> Any:
    """Return `value` with None in place of every number that JSON does not have (nan, inf)."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def write_result(folder: Path, result: Result) -> None:
    """Write `folder/result.json`, with checksums of itself and of the folder's other files.

    Raises:
        StoreError: the file cannot be written, or another cannot be read.
    """
    present = [name for name in OTHER_FILES if (folder / name).exists()]
    result.sha256 = {name: checksum(read(folder / name)) for name in present}
    write_atomically(folder / RESULT_FILE, _text(to_plain(result)))


def to_plain(result: Result, **beside: str) -> dict[str, Any]:
    """Return what is stored of a result, with its checksum.

    Args:
        result: the result.
        beside: what is stored beside its own fields, and is under the checksum too.
    """
    data: dict[str, Any] = _plain(asdict(result)) | beside
    for metric in data["metrics"].values():
        del metric["name"]  # the key of the entry
    return data | {"checksum": checksum(_text(data))}


def _text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=1) + "\n"


def _without_checksum(content: str | bytes, found: Any) -> bytes:
    """Return the text that `_text` made before the checksum was put at its end: that is quick to have.

    It is another text where the content was not written by `_text`, as a line of an exported file, or where
    something stands after the checksum, which `json` would take in the place of what stands before.
    """
    text = content.encode() if isinstance(content, str) else content
    end = f',\n "checksum": {json.dumps(found)}\n}}\n'.encode()
    return text.removesuffix(end) + b"\n}\n"


@cache
def _schema() -> TypeAdapter[Result]:
    from pydantic import TypeAdapter

    return TypeAdapter(Result)


class _ChecksumError(ValueError):
    """A text that is not what was written."""


class OldSchemaError(StoreError):
    """A result that was stored under another schema, a number."""

    def __init__(self, message: str, schema: int) -> None:
        super().__init__(message)
        self.schema = schema


class MisplacedError(StoreError):
    """A result that lies in the folder of another run."""


def read_result(folder: Path) -> Result | None:
    """Return the result in a run's folder; None if the run has no result yet.

    Raises:
        DamagedFileError: the file is not what was written.
        OldSchemaError: it was written under another schema.
        MisplacedError: it is the result of another run.
        StoreError: it cannot be read.
    """
    path = folder / RESULT_FILE
    try:
        result = parse(read(path, MOST_BYTES), path)
    except FileNotFoundError:
        return None
    own = Path(run_folder(result.task, result.model, result.hash), f"seed-{result.seed}")
    if folder.resolve().parts[-3:] != own.parts:
        raise MisplacedError(
            f"{path} is the result of {own} and lies in another folder. Move it there or delete it."
        )
    return result


def parse(content: str | bytes, where: str | Path) -> Result:
    """Return the result in a text that was made of `to_plain`.

    Args:
        content: the text.
        where: where it was found, for errors.

    Raises:
        DamagedFileError: it is not what was written.
        OldSchemaError: it was written under another schema.
    """
    try:
        data = json.loads(content, parse_float=_finite, parse_constant=_finite)
        schema = data["schema"]
        if isinstance(schema, int) and schema != SCHEMA:
            raise OldSchemaError(
                f"{where} was stored under schema {schema}, and this version of seqbench reads {SCHEMA}.",
                schema,
            )
        found = data.pop("checksum")
        if found != checksum(_without_checksum(content, found)) and found != checksum(_text(data)):
            raise _ChecksumError("its checksum is another")
        data["metrics"] = {name: {"name": name} | metric for name, metric in data["metrics"].items()}
        result: Result = _schema().validate_python(
            {f.name: data[f.name] for f in fields(Result) if f.name in data}
        )
        check_config(result.config)
        _check_counts(result)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error) if isinstance(error, _ChecksumError) else "it is no result"
        raise DamagedFileError(f"{where} is damaged: {reason}.") from error
    return result


def _finite(text: str) -> float:
    """Return a number that is finite: JSON has no other, and Python would read `Infinity` and `1e999`."""
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


def check_config(config: dict[str, Any]) -> None:
    """Check that a stored configuration is of the kind that runs write, so that its readers need not.

    Raises:
        TypeError, ValueError, RecursionError: it is not.
    """
    for group in ("task", "model", "optim", "trainer", "preset"):
        if not isinstance(config.get(group, {}), dict):
            raise TypeError(group)
    task, steps = config.get("task", {}), config.get("trainer", {}).get("max_steps", 1)
    _check_whole([steps, task.get("length") or 1, *(task.get("eval_lengths") or [])])
    if "${" in json.dumps(config):  # what is stored is resolved; a reader must not resolve anything
        raise ValueError("${")


def _check_counts(result: Result) -> None:
    """Raise an error of `parse`'s where a number is of a kind that no run writes."""
    _check_whole([*map(int, result.test), result.parameters or 0, result.state_size or 0, result.seed])


def _check_whole(counts: Iterable[Any]) -> None:
    if not all(isinstance(count, int) and abs(count) < 2**53 for count in counts):
        raise TypeError


def damaged_files(folder: Path, result: Result) -> list[Path]:
    """Return the other files of a run's folder that are there and are not what the run wrote."""
    found = []
    for name, expected in result.sha256.items():
        try:
            read_checked(folder / name, expected)
        except FileNotFoundError:  # such as weights that were removed to save space
            continue
        except StoreError:
            found.append(folder / name)
    return found


def damage(path: Path) -> str:
    """Return the sentence about a damaged file beside a result that is whole."""
    return f"{path} is damaged; the numbers are those of {RESULT_FILE}, which is whole."


def run_folder(task: str, model: str, hash: str) -> Path:
    """Return `<task>/<model>-<hash>`, where a name such as `my/lstm` is written `my.lstm`."""

    def safe(name: str) -> str:
        return re.sub(r"[/\\\x00-\x1f]", ".", name).lstrip(".") or "_"

    return Path(safe(task), f"{safe(model)}-{hash}")


def run_folders(runs_dir: str | Path = "runs") -> list[Path]:
    """Return the folders `<task>/<model>-<hash>` under `runs_dir`, without those in hidden folders."""
    found = Path(runs_dir).glob("*/*-*")
    return sorted(path for path in found if path.is_dir() and not path.parent.name.startswith("."))


def read_results(
    folders: Iterable[Path], on_unreadable: Callable[[str], object] = warnings.warn
) -> list[Result]:
    """Return the results in the folders `<task>/<model>-<hash>`, one for every seed that has a result.

    Args:
        folders: where to look.
        on_unreadable: called with a sentence about results that are left out because they cannot be read.
    """
    seeds = (seed for folder in dict.fromkeys(folders) for seed in sorted(folder.glob("seed-*")))
    return [result for _, result in read_runs(seeds, on_unreadable)]


def seed_folders(place: Path) -> list[Path]:
    """Return the folders of runs, `seed-<n>`, in a folder, without those in hidden folders.

    Args:
        place: the folder of all runs, of a task, of a configuration, or of one run.
    """
    if ".." in place.parts:
        place = Path(os.path.normpath(place.absolute()))
    found = [place] if place.absolute().name.startswith("seed-") else []
    found += [folder for pattern in PATTERNS for folder in place.glob(pattern)]
    return sorted(
        folder
        for folder in found
        if folder.is_dir() and not any(part.startswith(".") for part in folder.relative_to(place).parts)
    )


def read_runs(
    seeds: Iterable[Path], on_unreadable: Callable[[str], object] = warnings.warn
) -> list[tuple[Path, Result]]:
    """Return the results of runs, each with the folder of its run.

    Args:
        seeds: the folders of runs, `seed-<n>`.
        on_unreadable: called with a sentence about results that are left out because they cannot be read.
    """
    runs, old = [], []
    for seed in seeds:
        try:
            result = read_result(seed)
        except OldSchemaError:
            old.append(seed)
        except StoreError as error:
            on_unreadable(f"{error} It is left out.")
        else:
            runs += [] if result is None else [(seed, result)]
            for path in [] if result is None else damaged_files(seed, result):
                on_unreadable(damage(path))
    if old:
        groups = ", ".join(sorted({"/".join(seed.parts[-3:-1]) for seed in old}))
        on_unreadable(
            f"{len(old)} run{'s were' if len(old) > 1 else ' was'} stored under another schema than this "
            f"version's, {SCHEMA}, and left out: {groups}."
        )
    return sorted(runs, key=lambda run: (run[1].task, run[1].model, run[1].hash, run[1].seed))


def load_results(runs_dir: str | Path = "runs") -> pd.DataFrame:
    """Return one row for every run under `runs_dir` that has a result.

    Columns: the fields of `Result` under their names; the entries of its dictionaries under dotted names,
    `config.task.length`, `test.100.loss`, `validation.loss`, `baseline_loss.100`. In place of `metrics`,
    which has many entries, there is `direction`, that of the headline metric. A result that cannot be read is
    left out, with a warning that names it.

    Raises:
        StoreError: there is no result.
    """
    import pandas as pd

    results = read_results(run_folders(runs_dir))
    if not results:
        raise no_results(runs_dir)
    rows = []
    for result in results:
        row = asdict(result)
        del row["metrics"], row["sha256"]
        rows.append(row | {"direction": result.direction})
    return pd.json_normalize(rows)


def no_results(where: str | Path) -> StoreError:
    """Return the error for a folder that holds no result."""
    return StoreError(f"no results in {where}; train something first: `seqbench task=adding model=lstm`.")
