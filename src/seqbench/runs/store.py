"""The store: one folder per run, `runs/<task>/<model>-<hash>/seed-<k>/`. Its result is written last."""

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
from seqbench.tasks.metrics import Direction, Metric

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter

RESULT_FILE = "result.json"
#: Raised when the meaning of a field changes.
SCHEMA = 2

Status = Literal["solved", "finished", "diverged", "failed"]
Metrics = dict[str, float | None]


@dataclass
class Result:
    """How one run, that is one configuration with one seed, ended.

    A metric that is not finite is stored as null (None), so that every reader of JSON can read the file.
    """

    task: str
    model: str
    hash: str
    seed: int
    status: Status
    config: dict[str, Any]
    metric: str | None = None
    """The name of the task's headline metric, a key of `validation` and of each entry of `test`."""
    metrics: dict[str, Metric] = field(default_factory=dict)
    """Name to meaning, for every metric in `validation` and `test`."""
    solved_when: str | None = None
    """The task's condition for a solved run, in words, with its source."""
    solved_at_step: int | None = None
    """The optimisation step of the first evaluation on the validation set that met `solved_when`."""
    steps: int = 0
    """Optimisation steps taken."""
    sequences: int = 0
    """Training sequences seen."""
    best_step: int | None = None
    """The optimisation step of the evaluation whose weights were tested."""
    validation: Metrics = field(default_factory=dict)
    test: dict[str, Metrics] = field(default_factory=dict)
    """Test length, as a string, to metrics."""
    baseline_loss: dict[str, float] = field(default_factory=dict)
    """Test length, as a string, to the loss of the best predictor that ignores the input."""
    parameters: int | None = None
    """Live parameters: trained entries whose gradient is not structurally zero."""
    state_size: int | None = None
    """Numbers in the state that the model carries from step to step, for one sequence."""
    wall_time_s: float = 0.0
    """Seconds of training and evaluation over all restarts. Seeds trained together divide their time."""
    sequences_per_s: float | None = None
    """Training throughput in this run's part of the time, without evaluations."""
    peak_memory_bytes: int | None = None
    """Peak memory of the process, or of the device, with all seeds that train in it."""
    mode: str | None = None
    """The execution mode, which decides speed and rounding."""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    error: str | None = None
    finished_at: str = ""
    """UTC, ISO 8601."""
    schema: int = SCHEMA

    @property
    def headline(self) -> Metric | None:
        """The headline metric; None where the run failed before it was known."""
        return self.metrics.get(self.metric or "")

    @property
    def direction(self) -> Direction | None:
        """Whether the headline metric is better larger (max) or smaller (min)."""
        return None if self.headline is None else self.headline.direction


def _plain(value: Any) -> Any:
    """Return `value` with None in place of every number that JSON does not have (nan, inf)."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path`. A reader finds all of it or nothing of it, after a crash too.

    Raises:
        StoreError: the file cannot be written.
    """
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
    """Write `folder/result.json`.

    Raises:
        StoreError: the file cannot be written.
    """
    data = asdict(result)
    for metric in data["metrics"].values():
        del metric["name"]  # the key of the entry
    write_atomically(folder / RESULT_FILE, json.dumps(_plain(data), indent=1) + "\n")


@cache
def _schema() -> TypeAdapter[Result]:
    from pydantic import TypeAdapter

    return TypeAdapter(Result)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split("\n")[:3])


def read_result(folder: Path) -> Result | None:
    """Return the result in a run's folder; None if the run has no result yet.

    Raises:
        StoreError: the file exists, and this version cannot read it, or it is the result of another run.
    """
    path = folder / RESULT_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']}, not {SCHEMA}")
        data["metrics"] = {name: {"name": name} | metric for name, metric in data["metrics"].items()}
        result: Result = _schema().validate_python(
            {f.name: data[f.name] for f in fields(Result) if f.name in data}
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path} is not a result that this version can read ({_brief(error)}). Delete it to train the "
            "run again."
        ) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}.") from error
    own = Path(result.task, f"{result.model}-{result.hash}", f"seed-{result.seed}")
    if folder.resolve().parts[-3:] != own.parts:
        raise StoreError(
            f"{path} is the result of {own} and lies in another folder. Move it there or delete it."
        )
    return result


def run_folders(runs_dir: str | Path = "runs") -> list[Path]:
    """Return the folders `<task>/<model>-<hash>` under `runs_dir`, without those in hidden folders."""
    found = Path(runs_dir).glob("*/*-*")
    return sorted(path for path in found if path.is_dir() and not path.parent.name.startswith("."))


def read_results(folders: Iterable[Path]) -> list[Result]:
    """Return the results in the folders `<task>/<model>-<hash>`, one for every seed that has a result.

    Raises:
        StoreError: a result cannot be read.
    """
    seeds = (seed for folder in dict.fromkeys(folders) for seed in folder.glob("seed-*"))
    results = [result for seed in seeds if (result := read_result(seed))]
    return sorted(results, key=lambda result: (result.task, result.model, result.hash, result.seed))


def load_results(runs_dir: str | Path = "runs") -> pd.DataFrame:
    """Return one row for every run under `runs_dir` that has a result.

    Columns: the fields of `Result` under their names; the entries of its dictionaries under dotted names,
    `config.task.length`, `test.100.loss`, `validation.loss`, `baseline_loss.100`. In place of `metrics`,
    which has many entries, there is `direction`, that of the headline metric.

    Raises:
        StoreError: there is no result, or one cannot be read.
    """
    import pandas as pd

    results = read_results(run_folders(runs_dir))
    if not results:
        raise no_results(runs_dir)
    rows = []
    for result in results:
        row = asdict(result)
        del row["metrics"]
        rows.append(row | {"direction": result.direction})
    return pd.json_normalize(rows)


def no_results(where: str | Path) -> StoreError:
    """Return the error for a folder that holds no result."""
    return StoreError(f"no results in {where}; train something first: `seqbench task=adding model=lstm`.")
