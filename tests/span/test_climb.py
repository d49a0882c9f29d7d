"""The climb of a staircase: what is run, what is read, and what an incomplete span does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seqbench.span import climb
from seqbench.span.climb import cost_lines, measure, measured
from seqbench.span.cost import Costs
from seqbench.span.plan import plan
from seqbench.sweeps import processes
from tests.span.fake import Runner, solves_up_to

TYPED = ["task=latch", "trainer.max_steps=1000", "logger=none"]
Make = Callable[..., Runner]


def spans_of(runner: Runner, model: str) -> list[int]:
    return sorted({span for its, span, _ in runner.trained if its == model})


def ended(*typed: str) -> Any:
    found = measure(plan([*TYPED, *typed]))
    assert found is not None
    return found


def test_each_entrant_climbs_its_own_staircase(runner: Make) -> None:
    made = runner(solves_up_to(rnn=30, gru=90))
    courses, code = ended("model=rnn,gru")
    assert code == 0
    assert spans_of(made, "rnn") == [10, 20, 28, 40, 80]
    assert spans_of(made, "gru") == [10, 20, 40, 80, 113, 160, 400]
    assert {k for *_, k in made.trained} == set(range(5)) and {*made.trained.values()} == {1}
    assert made.asked[:4] == [f"{model} latch at {span}" for model in ("rnn", "gru") for span in (20, 10)]
    # None waits for the runs of the other.
    assert made.asked[4:6] == ["rnn latch at 80", "rnn latch at 40"]
    rnn, gru = measured(courses, Costs())
    assert 28 < rnn.fit.estimate < 40 and 80 < gru.fit.estimate < 113
    assert (rnn.spans[0].seeds, rnn.spans[0].solved_at) == (tuple(range(1_010_000, 1_010_005)), (20,) * 5)


def test_what_is_done_is_read_and_one_that_was_stopped_goes_on(runner: Make) -> None:
    made = runner(solves_up_to(rnn=30, gru=90))
    made.left = 23
    with pytest.raises(KeyboardInterrupt):
        ended("model=rnn,gru")
    made.left = None
    ended("model=rnn,gru")
    assert {*made.trained.values()} == {1} and len(made.trained) == 60
    ended("model=rnn,gru")
    assert len(made.trained) == 60
    ended("model=rnn,gru", "n_seeds=6")
    assert {*made.trained.values()} == {1} and len(made.trained) == 72


SHARES = {10: 5, 14: 5, 20: 4, 28: 2, 40: 3, 57: 2, 80: 1, 113: 0, 160: 0}


def falls(model: str, span: int, k: int) -> dict[str, Any]:
    """Return how runs end of which fewer and fewer solve the task."""
    solved = k % 5 < SHARES.get(span, 0)
    return {"solved_at_step": 100 if solved else None, "status": "solved" if solved else "finished"}


@pytest.mark.slow
def test_a_wide_interval_gets_more_seeds_where_the_rate_falls(runner: Make) -> None:
    made = runner(falls)
    courses, _ = ended("model=rnn")
    counts = {span: len(runs) for span, runs in courses[0].complete.items()}
    assert counts == {10: 5, 14: 10, 20: 10, 28: 10, 40: 10, 57: 10, 80: 10, 113: 10, 160: 5, 400: 5}
    assert courses[0].outcomes[28] == (4, 10)
    courses, _ = ended("model=rnn", "most_seeds=5")
    assert {len(runs) for runs in courses[0].complete.values()} == {5}
    assert {*made.trained.values()} == {1}


def test_more_seeds_that_are_refused_take_none_away(runner: Make) -> None:
    runner(falls).refuses = lambda job: job.config["n_seeds"] > 5
    courses, code = ended("model=rnn")
    assert code == 1 and {len(runs) for runs in courses[0].complete.values()} == {5}
    (rnn,) = measured(courses, Costs())
    assert [at.span for at in rnn.spans] == [*SHARES, 400]
    assert rnn.lacking[0] == "rnn on latch at 14 lacks 5 runs, which were refused." and len(rnn.lacking) == 7


def test_a_diverged_run_is_not_solved(runner: Make) -> None:
    runner(lambda model, span, k: {"status": "diverged", "solved_at_step": 10})
    courses, code = ended("model=rnn")
    assert code == 0 and courses[0].outcomes == {10: (0, 5), 20: (0, 5)}
    (rnn,) = measured(courses, Costs())
    assert rnn.spans[0].solved_at == (None,) * 5 and str(rnn.fit).startswith("< 10")


def test_a_span_that_lacks_a_run_does_not_count_and_is_tried_again(runner: Make) -> None:
    broken = {(40, 3)}

    def ends(model: str, span: int, k: int) -> dict[str, Any]:
        failed = {"status": "failed", "error": "RuntimeError: boom", "solved_at_step": None}
        return failed if (span, k) in broken else solves_up_to(rnn=30)(model, span, k)

    made = runner(ends)
    courses, code = ended("model=rnn")
    assert code == 1 and courses[0].lacking == {40: "1 run, which failed"}
    assert list(courses[0].complete) == [10, 20, 80]  # no other that depends on it
    (rnn,) = measured(courses, Costs())
    assert rnn.lacking == ("rnn on latch at 40 lacks 1 run, which failed.",)
    assert [at.span for at in rnn.spans] == [10, 20, 80]
    assert made.asked[-2:] == ["rnn latch at 80", "rnn latch at 40"] and len(made.asked) == 4


def test_what_it_could_take_is_that_of_all_spans_with_the_most_seeds() -> None:
    spans = plan([*TYPED, "model=rnn", "max=40"])
    lines = cost_lines(spans, {0: [(10, 0.001), (40, 0.004)]})
    assert lines[0].startswith(
        "rnn on latch: of the spans 10, 14, 20, 28, 40, with 5 to 10 runs each; at most 50 runs"
    )
    # 10 runs of 1,000 steps at each, of 1, 1.4, 2, 2.8 and 4 ms.
    assert lines[1] == "In all at most about 2 min of one core, without evaluations."


def test_the_server_of_the_processes_knows_what_runs_need_before_its_first_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_preloaded", [])
    known: list[str] = []
    monkeypatch.setattr(climb, "check", lambda plan, timed: known.extend(processes._preloaded))
    assert measure(plan(["task=latch", "model=rnn", "trainer.max_steps=1000"])) is None
    assert known == ["wandb.sdk.launch"]
