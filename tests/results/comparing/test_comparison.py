"""What was asked for and cannot be compared is said."""

from typing import Any

import pytest
from tests.results.handmade import run

from seqbench.errors import StoreError
from seqbench.results.comparing.comparison import compare_models
from seqbench.results.frame import with_metric
from seqbench.runs.result import Result
from seqbench.tasks.metrics import Metric, loss


def pair(task: str = "adding", models: tuple[str, ...] = ("lstm", "gru"), **settings: Any) -> list[Result]:
    return [run(task, model, seed=seed, **settings) for model in models for seed in range(3)]


def with_gap(task: str) -> list[Result]:
    metrics: dict[str, Any] = {
        "metrics": {"loss": loss("nats"), "gap_loss": Metric("gap_loss", "min", "nats", 0.0)}
    }
    return pair(task, test={"50": {"loss": 0.1, "gap_loss": 0.2}}, **metrics)


def test_a_metric_that_some_tasks_lack_is_a_note_and_that_all_lack_an_error() -> None:
    without = "lstm and gru have no test metric gap_loss at one length"
    results = with_metric([*pair(), *with_gap("latch")], "gap_loss")
    comparison = compare_models(results, ["lstm", "gru"], of=["metric"])
    assert [(c.task, c.measure) for c in comparison.contrasts] == [("latch", "gap_loss")]
    assert comparison.remarks == (f"Note: on adding at 50 {without}.",)
    alone = [result for result in results if result.task == "adding"]
    with pytest.raises(StoreError, match=f"there is nothing to compare: {without}."):
        compare_models(alone, ["lstm", "gru"], of=["metric"])
    assert compare_models(alone, ["lstm", "gru"]).remarks == (f"Note: {without}.",)


def test_runs_that_cannot_count_as_solved_are_a_note() -> None:
    comparison = compare_models(pair(solved_when=None), ["lstm", "gru"])
    assert [c.measure for c in comparison.contrasts] == ["loss"]
    assert comparison.remarks == (
        "Note: not every run says when it counts as solved, so that solved and steps are not compared.",
    )


def test_a_model_and_a_pair_without_a_line_are_named() -> None:
    results = [*pair(), *pair("latch", ("irnn", "rnn"))]
    apart = "has no runs of a task and length of a model that it is compared with"
    assert compare_models(results, ["lstm", "gru", "irnn"]).remarks == (f"Note: irnn {apart}.",)
    four = compare_models(results, ["lstm", "gru", "irnn", "rnn"])
    assert {(c.first, c.second) for c in four.contrasts} == {("lstm", "gru"), ("irnn", "rnn")}
    assert len(four.remarks) == 5 and "Note: gru and rnn have no runs of one task and length." in four.remarks


def test_groups_of_which_no_pair_met_are_refused() -> None:
    results = [*pair(models=("a", "c")), *pair("latch", ("b",)), *pair("adding", ("d",), length=80)]
    with pytest.raises(StoreError, match="there is nothing to compare: a has no runs of a task and length"):
        compare_models(results, ["a", "b"], ["c", "d"])
