"""The store: one folder per run, `runs/<task>/<model>-<hash>/seed-<k>/`, its result written last."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seqbench.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter

RESULT_FILE = "result.json"
#: Raised when the meaning of a field changes.
SCHEMA = 1

Status = Literal["solved", "finished", "diverged", "failed"]
Metrics = dict[str, float | None]


@dataclass
class Result:
    """How one run, one configuration with one seed, ended.

    Metrics that are not finite are stored as null (None), so that the file is JSON for every reader.
    """

    task: str
    model: str
    hash: str
    seed: int
    status: Status
    config: dict[str, Any]
    metric: str | None = None
    """The headline metric of the task: a key of `validation` and of each entry of `test`."""
    best: Literal["max", "min"] | None = None
    criterion: str | None = None
    solved_at_step: int | None = None
    """The first evaluation, in optimisation steps, that met the task's criterion on the validation set."""
    steps: int = 0
    sequences: int = 0
    """Training sequences seen."""
    best_step: int | None = None
    """The evaluation whose weights were tested."""
    validation: Metrics = field(default_factory=dict)
    test: dict[str, Metrics] = field(default_factory=dict)
    """Length, as a string, to metrics."""
    baseline_loss: dict[str, float] = field(default_factory=dict)
    """Length, as a string, to the loss of the best predictor that ignores the input."""
    parameters: int | None = None
    state_size: int | None = None
    """Numbers that a model carries from step to step for one sequence."""
    wall_time_s: float = 0.0
    """Time spent training and evaluating, restarts summed. Seeds side by side each have their share."""
    sequences_per_s: float | None = None
    """Training throughput by this run's share of the time, evaluations not counted."""
    peak_memory_bytes: int | None = None
    """That of the process, or of the device, with all the seeds that it trains."""
    way: str | None = None
    """How the sums were done, which decides speed and rounding."""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    error: str | None = None
    finished_at: str = ""
    """UTC, ISO 8601."""
    schema: int = SCHEMA


def _plain(value: Any) -> Any:
    """Return `value` with every number that JSON lacks (nan, inf) replaced by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader, or a crash, finds all of it or none."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {error.strerror}.") from error


def write_result(folder: Path, result: Result) -> None:
    """Write `folder/result.json`."""
    write_atomically(folder / RESULT_FILE, json.dumps(_plain(asdict(result)), indent=1) + "\n")


@cache
def _schema() -> TypeAdapter[Result]:
    from pydantic import TypeAdapter

    return TypeAdapter(Result)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split("\n")[:3])


def read_result(folder: Path) -> Result | None:
    """Return the result in a run's folder, or None where the run has none yet.

    Raises:
        StoreError: the file is there and is not a result that this version can read.
    """
    path = folder / RESULT_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']}, not {SCHEMA}")
        return _schema().validate_python({f.name: data[f.name] for f in fields(Result) if f.name in data})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is not a result this version can read ({_brief(error)}). Delete it, and the run is "
            "trained again."
        ) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}.") from error


def run_folders(runs_dir: str | Path = "runs") -> list[Path]:
    """Return the folders `<task>/<model>-<hash>` under `runs_dir`; hidden folders are passed over."""
    found = Path(runs_dir).glob("*/*-*")
    return sorted(path for path in found if path.is_dir() and not path.parent.name.startswith("."))


def read_results(folders: Iterable[Path]) -> list[Result]:
    """Return the results in the folders `<task>/<model>-<hash>`, one per seed that has one.

    Raises:
        StoreError: a result is there and cannot be read.
    """
    seeds = (seed for folder in dict.fromkeys(folders) for seed in folder.glob("seed-*"))
    results = [result for seed in seeds if (result := read_result(seed))]
    return sorted(results, key=lambda result: (result.task, result.model, result.hash, result.seed))


def load_results(runs_dir: str | Path = "runs") -> pd.DataFrame:
    """Return one row per run under `runs_dir` that has a result.

    Columns: every field of `Result` that is not a dictionary, under its name; what dictionaries hold under
    dotted names, `config.task.length`, `test.100.loss`, `validation.loss`, `baseline_loss.100`.

    Raises:
        StoreError: there is no result, or one that cannot be read.
    """
    import pandas as pd

    results = read_results(run_folders(runs_dir))
    if not results:
        raise no_results(runs_dir)
    return pd.json_normalize([asdict(result) for result in results])


def no_results(where: str | Path) -> StoreError:
    """Return the error for a folder that holds no result."""
    return StoreError(f"no results in {where}; train something first: `seqbench task=adding model=lstm`.")
