"""Selecting runs in the words in which they were asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seqbench.errors import SeqbenchError
from seqbench.runs.inventory import StoredRun, inventory
from seqbench.runs.selection import select
from tests.runs.handmade import begin, result, store


@pytest.fixture
def runs(tmp_path: Path) -> list[StoredRun]:
    for lr in (0.01, 0.001):
        for seed in (0, 1):
            store(tmp_path, result(seed=seed, lr=lr))
    store(tmp_path, result(model="gru", status="failed"))
    begin(tmp_path, result(model="rnn", length=70))
    return inventory(tmp_path)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 6),
        (["task=adding"], 6),
        (["model=lstm"], 4),
        (["model=lstm,gru"], 5),
        (["optim.lr=1e-3"], 2),
        (["optim.lr=0.001,0.01", "seed=1"], 2),
        (["status=failed,stopped"], 2),
        (["task.length=70"], 1),  # of a run that was stopped
        (["optim=adam"], 6),
        (["model/readout=linear"], 6),
        (["task.variant=halves"], 6),  # left out, so that it has its frozen default
    ],
)
def test_filters_narrow_one_after_another(runs: list[StoredRun], filters: list[str], count: int) -> None:
    assert len(select(runs, filters)) == count


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        (["optim.lrr=1"], "optim.lrr=1: no such run has the key optim.lrr. Did you mean 'optim.lr'?"),
        (["model=lstn"], "there is no such run; there are gru, lstm, rnn. Did you mean 'lstm'?"),
        (
            ["model=lstm,gruu"],
            "model=gruu: there is no such run; there are gru, lstm, rnn. Did you mean 'gru'?",
        ),
        (["model=lstm", "status=failed"], "status=failed: there is no such run; there are solved."),
        (["n_seeds=2"], "n_seeds=2: n_seeds is of a command, and a run has one seed; seed=0,1 chooses"),
        (["model/readout=deep"], "model/readout=deep: there is no such run; there are linear."),
        (["model/readot=deep"], "no such run has the key model/readot. Did you mean 'model/readout'?"),
        (["optim.lr="], "optim.lr= cannot be read; a filter reads key=value or key=value,value."),
        (["optim.lr=[1"], "optim.lr=[1 cannot be read"),
        (["=1"], "=1 cannot be read"),
    ],
)
def test_what_selects_nothing_says_what_there_is(
    runs: list[StoredRun], filters: list[str], says: str
) -> None:
    with pytest.raises(SeqbenchError, match=re.escape(says)):
        select(runs, filters)
