"""Models over many tasks."""

from dataclasses import replace

import pytest
from tests.results.handmade import run

from seqbench.results.comparing.overall import overall, score
from seqbench.results.comparing.problems import problems
from seqbench.runs.result import Result

MODELS = ["lstm", "gru", "rnn"]


def results(seeds: int = 5) -> list[Result]:
    """lstm is the best on adding at both lengths and on copy_memory, rnn the worst."""
    values = {"lstm": (0.01, 0.9), "gru": (0.05, 0.8), "rnn": (0.1, 0.5)}
    adding = [
        run(model=model, seed=s, value=low, length=n)
        for model, (low, _) in values.items()
        for s in range(seeds)
        for n in (50, 100)
    ]
    return adding + [
        run("copy_memory", model, 20, seed=s, value=high)
        for model, (_, high) in values.items()
        for s in range(seeds)
    ]


def test_scores_and_ranks_over_tasks() -> None:
    found = overall(problems(results(), MODELS), MODELS)
    assert found is not None and found.ranks is not None
    assert (found.problems, found.tasks) == (3, 2)
    assert found.ranks.models == ("lstm", "gru", "rnn") and found.ranks.ranks == (1, 2, 3)
    value, low, high = found.scores["lstm"]  # 0.94, 0.94, 0.9: the middle half
    assert 0.9 < value <= 0.94 and low <= value <= high


def test_a_task_counts_once_however_many_lengths_it_has() -> None:
    worse = [
        run("copy_memory", model, 20, value=v) for model, v in (("lstm", 0.1), ("gru", 0.2), ("rnn", 0.3))
    ]
    adding = [r for r in results(1) if r.task == "adding"]
    found = overall(problems([*adding, *worse], MODELS), MODELS)
    assert found is not None and found.ranks is not None
    assert found.ranks.ranks == (2, 2, 2)


def test_a_diverged_run_is_the_worst_whatever_weights_from_before_came_to() -> None:
    """Two of three runs of lstm diverged: its median on both tasks is that of a run that diverged."""
    runs = [r if r.model != "lstm" or r.seed == 0 else replace(r, status="diverged") for r in results(3)]
    found = overall(problems(runs, MODELS), MODELS)
    assert found is not None and found.ranks is not None
    assert dict(zip(found.ranks.models, found.ranks.ranks, strict=True)) == {"gru": 1, "rnn": 2, "lstm": 3}


def test_two_models_are_not_ranked_and_few_seeds_have_no_score() -> None:
    found = overall(problems(results(2), ["lstm", "gru"]), ["lstm", "gru"])
    assert found is not None and found.ranks is None and found.scores == {}


def test_one_task_is_not_many() -> None:
    assert overall(problems([run(), run(model="gru")], ["lstm", "gru"]), ["lstm", "gru"]) is None


@pytest.mark.parametrize(
    ("its", "expected"),
    [
        (run(value=1 / 60), 0.9),
        (run(value=1.0), 0.0),
        (run(value=1e-9, status="diverged"), 0.0),
        (run("copy_memory", value=0.7), 0.7),
        (run(value=0.1, metric="nrmse", test={"50": {"nrmse": 0.1}}), None),
    ],
)
def test_the_score_of_a_run(its: Result, expected: float | None) -> None:
    assert score(its, 50) == (None if expected is None else pytest.approx(expected))
