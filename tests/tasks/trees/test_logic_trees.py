"""Logic trees."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch.nn import functional as F

from seqbench.tasks.trees.base import Trees
from seqbench.tasks.trees.logic_trees import FALSE, TRUE, LogicTrees
from tests.tasks.trees import tree_reference
from tests.tasks.trees.tree_reference import from_brackets, rows_of


def evaluate(tree: tuple) -> bool:
    """Say the value of a tree `(token, child, …)`, in Python's own logic."""
    name, *arguments = tree
    if not arguments:
        return {"T": True, "F": False}[name]
    values = [evaluate(argument) for argument in arguments]
    if name == "not":
        (value,) = values
        return not value
    left, right = values
    return {
        "and": left and right,
        "or": left or right,
        "xor": left != right,
        "implies": not left or right,
    }[name]


def evaluate_text(text: str) -> bool:
    return tree_reference.evaluate_text(text, lambda tree: "FT"[evaluate(tree)]) == "T"


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
def test_target_is_the_value_by_brackets_and_by_parents(depth):
    task = LogicTrees(eval_lengths=[depth], eval_size=200)
    batch = task.test(depth)
    token_of = {number: token for token, number in task.vocabulary.items()}
    for row, (brackets, parents, target) in enumerate(rows_of(batch, task.vocabulary)):
        text = " ".join(token_of[token] for token in batch.inputs[row, : batch.lengths[row]].tolist())
        assert evaluate_text(text) == evaluate(brackets) == evaluate(parents) == bool(target)


def test_pairs_of_arguments_are_those_of_each_operator():
    for value, pairs in [(True, TRUE), (False, FALSE)]:
        for operator, found in pairs.items():
            every = [(a, b) for a in (0, 1) for b in (0, 1)]
            expected = [(a, b) for a, b in every if evaluate((operator, ("FT"[a],), ("FT"[b],))) is value]
            assert sorted(found) == expected and expected


def test_the_docstrings_examples():
    for text, value in [
        ("[ implies [ and T F ] [ not T ] ]", True),
        ("[ implies [ not T ] [ and T F ] ]", True),
        ("[ and [ implies T F ] [ not T ] ]", False),
    ]:
        assert f"{text}        class {int(value)}" in LogicTrees.__doc__
        assert evaluate_text(text) is evaluate(from_brackets(text.split())) is value
    assert evaluate_text("[ implies T F ]") is not evaluate_text("[ implies F T ]")  # the order counts


def test_operators_are_equally_likely_and_say_nothing_of_the_value():
    """Where nothing is conditioned on but that both arguments are constants, `not` has one to spare."""
    task = LogicTrees(length=1, eval_size=3000)
    rows = rows_of(task.test(1), task.vocabulary)
    counts = Counter((tree[0], target) for tree, _, target in rows)
    each = {"not": 0.2 / (0.2 + 0.8 * 0.5)} | dict.fromkeys(TRUE, 0.2 * 0.5 / (0.2 + 0.8 * 0.5))
    for operator, share in each.items():
        for value in (0, 1):
            assert counts[operator, value] / 3000 == pytest.approx(share / 2, abs=0.03)
    deep = LogicTrees(eval_size=1000)
    by_root: dict[str, list[int]] = {}
    for tree, _, target in rows_of(deep.test(5), deep.vocabulary):
        by_root.setdefault(tree[0], []).append(target)
    assert len(by_root) == 5
    for targets in by_root.values():
        assert sum(targets) / len(targets) == pytest.approx(0.5, abs=2 / math.sqrt(len(targets)))


def bag(batch, size: int) -> torch.Tensor:
    """Return how often each token occurs, standardised, and a one."""
    counts = F.one_hot(batch.inputs, size).sum(1)[:, 1:].double()
    return torch.cat(
        [(counts - counts.mean(0)) / counts.std(0).clamp_min(1e-6), torch.ones(len(counts), 1)], 1
    )


@pytest.mark.slow
def test_tokens_without_their_places_tell_hardly_anything():
    """The best linear guess from how often each token occurs, fitted to 2,000 formulas, on 1,200 others."""
    task = LogicTrees(eval_size=1200)
    fitted, fresh = task.sample(torch.Generator().manual_seed(0), 2000, 5), task.test(5)
    guess = torch.linalg.lstsq(bag(fitted, 11), fitted.targets.double()[:, None], driver="gelsd").solution[
        :, 0
    ]
    right = ((bag(fresh, 11) @ guess > 0.5) == (fresh.targets == 1)).double().mean().item()
    assert 0.46 < right < 0.58


def test_specs():
    task = LogicTrees(eval_size=400)
    assert task.inputs == Trees(10, children=2) and task.kind == "tree"
    assert task.targets.size == 2 and task.baseline_loss(5) == math.log(2)
    assert task.validation().targets.float().mean().item() == pytest.approx(0.5, abs=0.1)
