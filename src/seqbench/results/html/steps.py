"""The panels of steps to solve: the share of runs that have solved a task by a step, by Kaplan and Meier."""

from __future__ import annotations

from collections.abc import Sequence

from seqbench.results.frame import Comparison, records
from seqbench.results.html.traces import Panel, Trace, number, numbers, plain, points, said, share_axis
from seqbench.results.progress import solved_shares
from seqbench.results.summaries import Row


def step_panels(comparison: Comparison) -> list[Panel]:
    """Return a panel for each task and training length of which a run solved the task.

    A marker is a step at which runs solved it, a cross a run that did not, at its budget of steps. The
    numbers are those of `progress.solved_shares`.
    """
    frame = comparison.frame
    models = sorted(frame["model"].unique())
    trained = [row for row in records(frame) if row["seeds"] and isinstance(row["solved_at"], list)]
    if not trained:
        return []
    shares: dict[tuple[str, int, str], list[Row]] = {}
    for share in records(solved_shares(frame)):
        shares.setdefault((share["task"], share["length"], share["model"]), []).append(share)
    panels = []
    for task, length in dict.fromkeys((row["task"], row["length"]) for row in trained):
        rows = [row for row in trained if (row["task"], row["length"]) == (task, length)]
        if not any(row["solved_at"] for row in rows):
            continue
        data = [
            trace
            for row in rows
            for trace in _curve(row, shares.get((task, length, row["model"]), []), models)
        ]
        layout = {
            "xaxis": {"title": {"text": "optimisation steps"}, "rangemode": "tozero"},
            "yaxis": share_axis("runs that have solved it"),
        }
        title = f"{task} at {length}" if length else task
        label = f"Share of runs that have solved {title} by a number of optimisation steps."
        panels.append(Panel(task, title, label, data, layout))
    return panels


def _curve(row: Row, shares: Sequence[Row], models: Sequence[str]) -> list[Trace]:
    """Return the curve of a model, the steps at which its runs solved the task, and those that did not."""
    steps, share = [0, *(its["step"] for its in shares)], [0.0, *(number(its["share"]) for its in shares)]
    end = max([*row["solved_at"], *row["censored_at"]])
    line = points(row["model"], models, [*steps, end], [*share, share[-1]], joined=True)
    line = line | {"mode": "lines", "line": line["line"] | {"shape": "hv"}, "hoverinfo": "skip"}
    named = f"<b>{plain(row['model'])}</b>"
    traces = [line]
    if shares:
        texts = []
        for its in shares:
            seeds = [
                seed
                for seed, step in zip(row["page.solved_seeds"], row["solved_at"], strict=True)
                if step == its["step"]
            ]
            texts.append(
                f"{named}<br>{_seeds(seeds)} solved it at step {its['step']:,}<br>"
                f"{its['share']:.0%} of {its['runs']} runs{_interval(its)}"
            )
        traces.append(said(points(row["model"], models, steps[1:], share[1:], joined=False), texts))
    if row["censored_at"]:
        at = [share[sum(step <= budget for step in steps) - 1] for budget in row["censored_at"]]
        crosses = points(row["model"], models, row["censored_at"], at, joined=False)
        crosses["marker"] = crosses["marker"] | {"symbol": "x-thin", "size": 8}
        unsolved = zip(row["page.censored_seeds"], row["censored_at"], strict=True)
        texts = [f"{named}<br>seed {seed} did not solve it in {budget:,} steps" for seed, budget in unsolved]
        traces.append(said(crosses, texts))
    return traces


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _interval(share: Row) -> str:
    low, high = numbers([share["low"], share["high"]])
    return "" if low is None or high is None else f" [{low:.0%}–{high:.0%}]"
