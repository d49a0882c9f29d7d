"""Many seeds on several cores."""

from __future__ import annotations

import sys
import tempfile

from .measure import Settings, in_turn
from .surroundings import available_cores, in_new_program, use_cores
from .tables import Row, against

#: The largest ratio of two cores to one that will do.
MARK = 0.6


def cores(settings: Settings) -> list[Row]:
    """Training of 16 seeds by `seqbench.train` on one core and on two, in ms a seed and step.

    Batch 32, 100 steps, 64 units of the adding problem, without evaluations; each in a program of its own.
    """
    if len(available_cores()) < 2 or settings.device == "cuda":
        return [{"cell": "not measured: it takes two cores and no GPU"}]
    rows: list[Row] = []
    for cell in settings.cells:
        asked = [*overrides(cell, settings, settings.seeds), "logger=none"]

        def on(count: int, asked: list[str] = asked) -> float:
            return float(in_new_program("benchmark.cores", [str(count), *asked]).split()[-1])

        ms = in_turn({count: lambda count=count: on(count) for count in (1, 2)}, min(3, settings.rounds))
        row: Row = {"cell": cell, "seeds": settings.seeds, "one core": ms[1], "two cores": ms[2]}
        rows.append(row | against("one core", ms[2], ms[1], MARK))
    return rows


def overrides(cell: str, settings: Settings, seeds: int) -> list[str]:
    """Return the configuration of a short training of so many seeds at the point."""
    point, steps = settings.point, training_steps(settings, seeds)
    return [
        *["task=adding", f"task.length={point.length}", f"batch_size={point.batch}", "task.eval_size=100"],
        *[f"model={cell}", f"model.hidden_size={point.width}", f"trainer.max_steps={steps}"],
        *[f"trainer.eval_every={steps}", "trainer.stop_when_solved=false", "trainer.progress=false"],
        f"n_seeds={seeds}",
        f"trainer.accelerator={'gpu' if settings.device == 'cuda' else 'cpu'}",
    ]


def training_steps(settings: Settings, seeds: int) -> int:
    """Return how long a short training is; some seconds suffice."""
    return 4 if settings.quick else 200 if seeds == 1 else 100


def train(overrides: list[str]) -> float:
    """Train through the platform; return the milliseconds a seed and step, without evaluations."""
    import seqbench

    with tempfile.TemporaryDirectory() as folder:
        cfg = seqbench.compose([*overrides, f"runs_dir={folder}"])
        results = seqbench.train(cfg)
    rates = [result.sequences_per_s for result in results]
    assert all(rates), results[0].error
    return sum(cfg.batch_size / rate for rate in rates if rate) / len(rates) * 1e3


if __name__ == "__main__":
    use_cores(int(sys.argv[1]))
    print(train(sys.argv[2:]))
