"""The table of published results: verdicts on runs, and the committed page."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripts.pages import published as page

from seqbench.errors import ConfigError
from seqbench.results.published import Entry
from seqbench.runs.result import Result
from seqbench.tasks.metrics import share
from tests.results.handmade import failed, run

ROOT = Path(__file__).parents[1]


def entry(**keys: Any) -> Entry:
    known = {
        "task": "adding",
        "settings": {"task.length": 50},
        "metric": "loss",
        "values": {"A": 0.02, "B": 0.9},
    }
    said = {"source": "Some (1999)", "at": "Table 1", "protocol": "other", "certainty": "read"}
    return Entry.model_validate(known | said | keys)


def seeds(*values: float | None, **keys: Any) -> list[Result]:
    return [run(seed=seed, value=value, **keys) for seed, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.01, 0.015, 0.019), "beaten"),
        ((0.01, 0.02, 0.5), "met"),
        ((0.01, 0.021, 0.5), "missed"),
        ((0.01, 0.01, None), "met"),  # a seed without a value is the worst
        ((0.01, 0.01), "too few seeds"),
        ((0.03,), "missed"),
        ((), "not tried"),
    ],
)
def test_the_median_is_judged_by_the_best_value_of_the_entry(values: tuple[float, ...], verdict: str) -> None:
    assert page.judged(entry(), seeds(*values))[0] == verdict


def test_the_best_configuration_is_judged_and_named() -> None:
    runs = [*seeds(0.5, 0.5, 0.5), *seeds(0.01, 0.01, 0.01, model="gru")]
    assert page.judged(entry(), runs) == ("beaten", "`gru` 0.01, 10.1k parameters")
    few = [*seeds(0.5, 0.5, 0.5), *seeds(0.01, model="gru")]
    assert page.judged(entry(), few) == ("missed", "`lstm` 0.5, 10.1k parameters")
    assert page.judged(entry(), few[3:]) == ("too few seeds", "`gru` 0.01, 10.1k parameters, one seed")
    rates = [*seeds(0.5, 0.5, 0.5), *seeds(0.01, 0.01, 0.01, optim__lr=0.1)]
    assert page.judged(entry(), rates) == ("beaten", "`lstm (lr=0.1)` 0.01, 10.1k parameters")


def test_more_is_better_where_records_say_so() -> None:
    known = {"metric": "correct", "metrics": {"correct": share("correct")}}
    runs = [
        replace(run(seed=s, **known), test={"50": {"correct": right}})
        for s, right in enumerate([0.4, 0.5, 0.6])
    ]
    half = entry(metric="correct", values={"A": 0.5})
    assert page.judged(half, runs) == ("met", "`lstm` 50.0 %, 10.1k parameters")
    assert page.judged(entry(metric="correct", values={"A": 0.55}), runs)[0] == "missed"
    other = [replace(its, metrics={"correct": share("correct", "min")}) for its in runs]
    with pytest.raises(ConfigError, match=r"1999\), Table 1: the correct of adding is better where it is sm"):
        page.judged(half, other)


def test_sequences_are_steps_times_batch_and_unsolved_runs_took_infinitely_many() -> None:
    runs = [run(seed=i, solved_at=at, batch_size=32) for i, at in enumerate((100, 200, None))]
    its = entry(metric="sequences", values={"A": 6400})
    assert page.figures(its, runs)[:2] == [3200, 6400]
    assert page.judged(its, runs) == ("met", "`lstm` 6,400, 2 of 3 solve it, 10.1k parameters")
    never = [run(seed=i, solved_at=None, batch_size=32) for i in range(3)]
    assert page.judged(its, never) == ("missed", "`lstm` none, 0 of 3 solve it, 10.1k parameters")
    one = [run(seed=i, model="gru", solved_at=at, batch_size=32) for i, at in enumerate((100, None, None))]
    assert page.judged(its, [*never, *one])[1].startswith("`gru` none, 1 of 3 solve it")


def test_what_the_test_set_does_not_confirm_is_not_solved() -> None:
    runs = [
        replace(run(seed=i, solved_at=100, batch_size=32), solved_on_test=on)
        for i, on in enumerate((True, None, False))
    ]
    its = entry(metric="sequences", values={"A": 6400})
    assert page.figures(its, runs) == [3200, 3200, math.inf]
    assert page.judged(its, runs) == ("met", "`lstm` 3,200, 2 of 3 solve it, 10.1k parameters")
    assert page.figures(entry(metric="solved", values={"A": 1.0}), runs) == [pytest.approx(2 / 3)]


def test_solved_is_a_share_of_seeds() -> None:
    runs = [run(seed=i, solved_at=at) for i, at in enumerate((100, 200, None, 100))]
    assert page.judged(entry(metric="solved", values={"A": 0.75}), runs)[0] == "met"
    assert page.judged(entry(metric="solved", values={"A": 0.7}), runs)[0] == "beaten"
    assert page.judged(entry(metric="solved", values={"A": 0.8}), runs)[0] == "missed"


def test_beyond_is_the_best_seed_over_longer_lengths() -> None:
    runs = [run("copy_memory", seed=i, value=1.0) for i in range(3)]
    for its, values in zip(runs, [(0.5, 0.7), (0.9, 0.9), (0.6, 1.0)], strict=True):
        its.test.update({str(80 + i): {"accuracy": value} for i, value in enumerate(values)})
    its = entry(task="copy_memory", metric="accuracy", values={"A": 0.9}, beyond=True)
    assert page.figures(its, runs) == pytest.approx([0.6, 0.9, 0.8])
    assert page.judged(its, runs)[0] == "met"
    assert page.judged(entry(comparable=False), seeds(0.0, 0.0, 0.0)) == ("not comparable", "")


def test_what_fits() -> None:
    target = {"task___target_": "seqbench.tasks.synthetic.adding.Adding"}
    assert page.fits(entry(), run(**target)) and not page.fits(entry(), run(length=51, **target))
    assert page.fits(entry(settings={}, least={"task.length": 50}), run(**target))
    assert not page.fits(entry(settings={}, least={"task.length": 51}), run(**target))
    assert not page.fits(entry(settings={}, least={"task.solved_at": 0.1}), run(**target))  # None there
    assert not page.fits(entry(task="latch"), run(**target)) and not page.fits(entry(), failed(**target))


def test_the_committed_page_is_made_of_the_committed_records() -> None:
    made = page.table(page.read_published(), page.read_all())
    assert made == (ROOT / "results/published.md").read_text(), "scripts/published"
