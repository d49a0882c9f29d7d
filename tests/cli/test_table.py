"""The table that a command prints: of the runs that it asked for, and of no others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from tests.cli.conftest import Said

TINY = ["task=adding", "task.length=6", "task.eval_size=8", "model.hidden_size=4"]
TINY += ["batch_size=4", "trainer.max_steps=4", "trainer.eval_every=2", "logger=none"]


def loss(*seeds: int) -> float:
    """Return the median test loss of the runs with these seeds, from their results, to three digits."""
    paths = [next(Path("runs").glob(f"adding/rnn-*/seed-{seed}/result.json")) for seed in seeds]
    return float(f"{median(json.loads(path.read_text())['test']['6']['loss'] for path in paths):.3g}")


@pytest.mark.slow
def test_seeds_and_runs_of_other_commands_are_not_in_it(seqbench: Callable[..., Said]) -> None:
    def table(*args: str, model: str = "rnn") -> str:
        said = seqbench(*args, *TINY, f"model={model}")
        assert said.code == 0, said.err
        return said.out.partition("Solved: ")[2]

    def cell(text: str) -> tuple[float, str]:
        found = re.search(r" rnn +([\d.]+) .*?(\d+/\d+) \[", text, re.DOTALL)
        assert found is not None, text
        return float(found[1]), found[2]

    assert cell(table("n_seeds=4")) == (loss(0, 1, 2, 3), "0/4")
    assert len({loss(seed) for seed in range(4)}) == 4, "this test wants seeds that differ"
    assert cell(table("seed=2")) == (loss(2), "0/1")  # done before
    assert cell(table("seed=3", "n_seeds=3")) == (loss(3, 4, 5), "0/3")  # two of them are new
    both = table("-m", "seed=1", model="rnn,gru")  # each command line of a sweep is one run
    assert cell(both) == (loss(1), "0/1") and " gru " in both
    assert "0/6" in seqbench("report").out, "a report is of all that lies there"
