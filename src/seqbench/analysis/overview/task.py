"""The facts of a task: its data, its lengths, what is measured, what solves it."""

from __future__ import annotations

from collections.abc import Mapping

from seqbench.results.numbers import measured
from seqbench.tasks.base import Task
from seqbench.tasks.metrics import Metric


def facts(task: Task) -> dict[str, str]:
    """Return what is known of a task, in words, by what it is about.

    Raises:
        DataError: the task reads data that are missing.
    """
    metric = task.metric_of(task.metric)
    steps = f", in up to {task.steps} steps" if task.steps != task.length else ""
    told = {
        "variant": task.variant,
        "input": task.inputs.in_words,
        "target": task.targets.in_words,
        "length": f"{task.length}{steps}",
        "tested at": "" if task.eval_lengths == (task.length,) else ", ".join(map(str, task.eval_lengths)),
        "closed loop": f"the last {task.horizon} steps of an evaluation" if task.horizon else "",
        "metric": f"{task.metric}, {_meaning(metric)}",
        "beside it": ", ".join(other.name for other in task.metrics if other.name != task.metric),
        "solved": _solved(task),
        **_baselines(task),
        "span": _span(task),
        **task.about(),
    }
    return {about: text for about, text in told.items() if text}


def _meaning(metric: Metric) -> str:
    better = {"max": "higher is better", "min": "lower is better"}[metric.direction]
    return f"{metric.unit}; {better}" if metric.unit not in ("", "share") else better


def _solved(task: Task) -> str:
    by = f", by {task.solved_metric}" if task.solved_metric != task.metric else ""
    return f"{task.solved_when}{by}" if task.solved_when else ""


def _baselines(task: Task) -> dict[str, str]:
    """Return the metrics of the best predictor that ignores the input, at each length to test at."""
    known = {
        length: {"loss": task.baseline_loss(length)} | task.chance(length) for length in task.eval_lengths
    }
    names = dict.fromkeys(name for metrics in known.values() for name in metrics)
    told = [f"{name} {_at_lengths(task.metric_of(name), name, known)}" for name in names]
    return {"baseline": f"{'; '.join(told)}, of the best predictor that ignores the input"}


def _at_lengths(metric: Metric, name: str, known: Mapping[int, Mapping[str, float]]) -> str:
    """Return a value that is the same at all lengths, or the one at each: `0.693`, `1.2 at 5, 1.3 at 6`."""
    texts = {
        length: measured(metrics[name], metric.unit) for length, metrics in known.items() if name in metrics
    }
    if len({*texts.values()}) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{text} at {length}" for length, text in texts.items())


def _span(task: Task) -> str:
    span = task.span
    if span is None:
        return ""
    value = int(getattr(task, span.key))
    least = f"at least {span.least}" + (f", in steps of {span.unit}" if span.unit > 1 else "")
    distance = " to ".join(dict.fromkeys(map(str, span.dependency(value))))
    return f"task.{span.key}, {least}; at {value} what has to be kept lies {distance} steps back"
