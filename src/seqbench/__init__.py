"""seqbench: which sequence model learns a dependency over how long a span, how surely, and at what cost?

    cfg = seqbench.compose(["task=adding", "model=lstm"])
    task = seqbench.build_task(cfg)
    model = seqbench.build_model(cfg, task)
    runs = seqbench.train(cfg)                  # one Result per seed
    table = seqbench.load_results("runs")       # pandas.DataFrame, one row per run
    curves = seqbench.load_curves("runs")       # pandas.DataFrame, one row per measurement in training
    model = seqbench.load_model("runs/adding/lstm-1234abcd/seed-0")    # with its trained weights
    run = seqbench.load_run("runs/adding/lstm-1234abcd/seed-0")        # with its task: run.predict([…])

Names are loaded when they are first used: `import seqbench` is quick, and `seqbench --help` needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from seqbench.processes import forget_what_is_no_number

if TYPE_CHECKING:
    from seqbench.config.build import build_model, build_task
    from seqbench.config.compose import compose
    from seqbench.results.curves import load_curves
    from seqbench.runs.result import Result
    from seqbench.runs.schedule import train
    from seqbench.runs.store import load_results
    from seqbench.runs.trained import load_model, load_run

_HOMES = {
    "build_model": "config.build",
    "build_task": "config.build",
    "compose": "config.compose",
    "Result": "runs.result",
    "load_curves": "results.curves",
    "load_model": "runs.trained",
    "load_results": "runs.store",
    "load_run": "runs.trained",
    "train": "runs.schedule",
}
__all__ = [
    "Result",
    "build_model",
    "build_task",
    "compose",
    "load_curves",
    "load_model",
    "load_results",
    "load_run",
    "train",
]


forget_what_is_no_number()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"seqbench.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'seqbench' has no attribute {name!r}")
