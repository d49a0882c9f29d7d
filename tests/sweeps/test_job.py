"""Jobs: what they are called, and how their seeds are divided."""

from __future__ import annotations

import pytest

from seqbench.sweeps.job import Ended, Facts, Job, given, labels, units

FACTS = Facts(
    group="runs/latch/gru-0",
    identity="0",
    seeds=range(3, 9),
    before=(),
    parameters=10,
    max_steps=100,
    threads=1,
    devices=1,
    accelerator="cpu",
    there=1,
    together=6,
    made_of={},
    lasting=True,
)
JOB = Job(0, [], {}, {}, "gru lr=1")


@pytest.mark.parametrize(
    ("jobs", "found"),
    [
        ([["task=latch", "model=gru"], ["task=latch", "model=rnn"]], ["gru", "rnn"]),
        ([[r"a=[0.0,$\{b\:2\}]"], ["a=1"]], ["a=[0.0,${b:2}]", "a=1"]),
        ([["optim.lr=0.1", "model=gru"], ["optim.lr=1", "model=rnn"]], ["gru lr=0.1", "rnn lr=1"]),
        ([["task.length=5", "x.length=1"], ["task.length=6", "x.length=2"]], ["task.length=5 x.length=1"]),
        ([["task=latch", "seed=1"]], ["latch"]),
        ([["model=gru"], ["model=gru", "optim.lr=3"]], ["", "lr=3"]),
        ([["optim.lr=1"]], [""]),
        ([["~optim.clip_norm"], ["optim.clip_norm=5"]], ["~clip_norm", "clip_norm=5"]),
        ([["~a.b", "~c.b"], ["model=gru"]], ["~a.b ~c.b", "gru"]),
    ],
)
def test_a_job_is_called_by_what_was_varied(jobs, found):
    assert labels(jobs)[: len(found)] == found


@pytest.mark.parametrize(
    ("missing", "parts", "ranges"),
    [
        (range(3, 9), 1, [(3, 9)]),
        (range(3, 9), 4, [(3, 5), (5, 7), (7, 9)]),
        (range(3, 9), 50, [(k, k + 1) for k in range(3, 9)]),
        ([3, 4, 7, 8], 1, [(3, 5), (7, 9)]),
        ([8], 3, [(8, 9)]),
        ([], 3, []),
    ],
)
def test_seeds_are_divided_into_ranges(missing, parts, ranges):
    found = units(JOB, FACTS, missing, parts)
    assert [(unit.seeds.start, unit.seeds.stop) for unit in found] == ranges


def test_a_part_says_which_seeds():
    assert [unit.label for unit in units(JOB, FACTS, [3, 4, 7], 1)] == [
        "gru lr=1 seeds 3–4",
        "gru lr=1 seed 7",
    ]
    assert [unit.label for unit in units(JOB, FACTS, range(3, 9), 1)] == ["gru lr=1"]


def test_failed_runs_are_missing_unless_they_are_not_to_be_tried_again():
    ended = (Ended(seed=3, folder="x", status="failed"), Ended(seed=4, folder="y", status="solved"))
    facts = FACTS.__class__(**{**FACTS.__dict__, "before": ended})
    assert facts.missing() == [3, 5, 6, 7, 8] and facts.missing(retry_failed=False) == [5, 6, 7, 8]


def test_a_single_run_is_called_by_what_was_given() -> None:
    typed = [
        "task=latch",
        "model=gru",
        "+optim.lr=0.1",
        "seed=3",
        "n_seeds=2",
        "logger=csv",
        "~optim.clip_norm",
    ]
    assert given(typed) == "gru latch lr=0.1"
    assert given(["logger.wandb.project=mine", "runs_dir=x"]) == ""
