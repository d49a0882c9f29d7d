"""Time warps."""

from __future__ import annotations

import math
from collections import Counter
from itertools import groupby

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.time_warp import TimeWarp


def draw(variant, length, warp, alphabet=10, rows=300):
    task = TimeWarp(length=length, variant=variant, warp=warp, alphabet=alphabet)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize("variant", ["uniform", "variable"])
@pytest.mark.parametrize(("length", "warp", "alphabet"), [(12, 1, 3), (13, 4, 3), (60, 7, 10)])
def test_the_target_is_the_character_before_however_long_each_lasts(variant, length, warp, alphabet):
    batch = draw(variant, length, warp, alphabet)
    assert batch.inputs.shape == batch.targets.shape == (300, length)
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        runs = [(character, len(list(run))) for character, run in groupby(given)]
        before, expected = alphabet, []
        for character, steps in runs:
            expected += [before] * steps
            before = character
        assert target == expected
        assert all(steps <= warp for _, steps in runs)
        assert variant == "variable" or all(steps == warp for _, steps in runs[:-1])


def test_runs_and_characters_are_equally_likely():
    batch = draw("variable", 50, 5, alphabet=4, rows=3000)
    runs = [[(c, len(list(run))) for c, run in groupby(row)] for row in batch.inputs.tolist()]
    starts = Counter(row[0][0] for row in runs)
    lasted = Counter(row[3][1] for row in runs)
    changes = Counter((row[3][0], row[4][0]) for row in runs)
    for counts, outcomes in [(starts, 4), (lasted, 5), (changes, 4 * 3)]:
        assert len(counts) == outcomes
        expected = 3000 / outcomes
        assert all(abs(n - expected) < 5 * math.sqrt(expected) for n in counts.values())


def test_the_docstrings_example():
    (given,), (target,) = draw("uniform", 9, 3, rows=1)[:2]
    text = "".join(str(character) for character in given[::3].tolist())
    assert "".join(map(str, given.tolist())) == "".join(3 * character for character in text)
    drawn = "".join("_" if token == 10 else str(token) for token in target.tolist())
    assert drawn == "___" + 3 * text[0] + 3 * text[1]


def test_the_baseline_by_hand():
    assert TimeWarp(length=4, warp=1).baseline_loss(4) == pytest.approx(3 / 4 * math.log(10))
    assert TimeWarp(length=6, variant="uniform", warp=4).baseline_loss(6) == pytest.approx(
        2 / 6 * math.log(10)
    )
    # The first of ten characters lasts one step or two.
    half = math.log(2) + math.log(10) / 2
    assert TimeWarp(length=3, warp=2).baseline_loss(3) == pytest.approx((half + math.log(10)) / 3)


def test_the_chance_by_hand():
    uniform, variable = TimeWarp(length=6, variant="uniform", warp=4), TimeWarp(length=3, warp=2)
    assert uniform.chance(6) == pytest.approx({"accuracy": (4 + 2 / 10) / 6})
    assert variable.chance(3) == pytest.approx({"accuracy": (1 + 1 / 2 + 1 / 10) / 3})


def test_bad_values_are_refused(make_task):
    TimeWarp(length=2, warp=1, alphabet=3)
    for bad, message in [
        ({"length": 10, "warp": 10}, r"task.warp=10 must be below every length, and task.length=10"),
        ({"warp": 0}, "task.warp=0 leaves no step"),
        ({"alphabet": 2}, "task.alphabet=2 leaves no choice"),
    ]:
        with pytest.raises(ConfigError, match=message):
            TimeWarp(**bad)
    with pytest.raises(ConfigError, match=r"task.variant=none must be uniform or variable"):
        make_task("task=time_warp", "task.variant=none")
