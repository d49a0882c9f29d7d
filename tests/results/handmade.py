"""Results made by hand, for the tests of comparisons, tables, figures and reports."""

import hashlib
from pathlib import Path
from typing import Any

from seqbench.runs.result import Result
from seqbench.runs.store import write_result
from seqbench.tasks.metrics import Metric, loss, share


def run(
    task: str = "adding",
    model: str = "lstm",
    length: int = 50,
    seed: int = 0,
    value: float | None = 1e-3,
    solved_at: int | None = 100,
    **settings: Any,
) -> Result:
    """Return one result. `settings` are fields of Result, or keys of its config with `__` for a dot."""
    config: dict[str, Any] = {"seed": seed, "task": {"length": length}, "model": {"_target_": "x"}}
    metric: Metric = share("accuracy") if task == "copy_memory" else loss("squared error")
    fields: dict[str, Any] = {
        "status": "solved" if solved_at is not None else "finished",
        "metric": metric.name,
        "metrics": {metric.name: metric},
        "solved_when": "under 1 % & published (A_B, 1997)",
        "test": {str(length): {metric.name: value}},
        "baseline_loss": {str(length): 1 / 6},
        "steps": 3000,
        "parameters": 10050,
        "sequences_per_s": 2000.0,
        "finished_at": "2026-01-01T00:00:00Z",
    }
    for name, setting in settings.items():
        if name in Result.__dataclass_fields__:
            fields[name] = setting
            continue
        place = config
        *path, last = name.split("__")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = setting
    mark = hashlib.sha256(repr((task, model, length, sorted(settings.items()))).encode()).hexdigest()
    fields = {"identity": mark, "hash": mark[:8]} | fields
    return Result(task=task, model=model, seed=seed, config=config, solved_at_step=solved_at, **fields)


def failed(**settings: Any) -> Result:
    """Return a run that failed before anything but its configuration was known."""
    nothing: dict[str, Any] = {"metric": None, "metrics": {}, "solved_when": None, "test": {}}
    nothing |= {"baseline_loss": {}}
    nothing |= {"parameters": None, "sequences_per_s": None, "error": "out of memory"}
    return run(**(nothing | {"status": "failed", "solved_at": None} | settings))


def mixed() -> list[Result]:
    """Return two tasks and four rows, with missing, failed and diverged runs.

    adding at 50: lstm has five seeds; gru four that ended well and one that failed; leaky_rnn two values of
    alpha, three seeds each, one of which diverged. copy_memory at 20: lstm alone, five seeds.
    """
    lstm = [run(seed=s, value=v) for s, v in enumerate([0.001, 0.002, 0.003, 0.004, 0.005])]
    gru = [run(model="gru", seed=s, value=0.1, solved_at=None if s else 700) for s in range(4)]
    gru.append(failed(model="gru", seed=4))
    fast = [run(model="leaky_rnn", seed=s, model__cell__alpha=0.9) for s in range(3)]
    slow = [run(model="leaky_rnn", seed=s, model__cell__alpha=0.5) for s in range(2)]
    slow.append(
        run(
            model="leaky_rnn",
            seed=2,
            model__cell__alpha=0.5,
            status="diverged",
            value=None,
            sequences_per_s=None,
        )
    )
    copy = [run("copy_memory", length=20, seed=s, value=0.9, solved_at=None) for s in range(5)]
    return [*lstm, *gru, *fast, *slow, *copy]


def write(runs_dir: Path, results: list[Result]) -> Path:
    """Store the results as runs leave them."""
    for result in results:
        folder = runs_dir / result.task / f"{result.model}-{result.hash}" / f"seed-{result.seed}"
        folder.mkdir(parents=True)
        write_result(folder, result)
    return runs_dir
