"""Bracket matching."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.languages.bracket_matching import BracketMatching, shapes


def balanced(tokens, kinds=2):
    stack = []
    for token in tokens:
        if token < kinds:
            stack.append(token)
        elif not stack or stack.pop() != token - kinds:
            return False
    return not stack


def draw(length, rows=1000, kinds=2):
    task = BracketMatching(length=length, kinds=kinds)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


def rows_of(batch):
    return zip(*(part.tolist() for part in (batch.inputs, batch.lengths, batch.targets)), strict=True)


@pytest.mark.parametrize("kinds", [2, 3])
@pytest.mark.parametrize("length", [2, 4, 6, 20])
def test_target_is_whether_a_stack_ends_empty(length, kinds):
    batch = draw(length, kinds=kinds)
    assert batch.inputs.shape == (1000, length) and batch.lengths is None
    for tokens, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        assert balanced(tokens, kinds) == bool(target)
    assert batch.targets.float().mean().item() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("length", [2, 4, 6, 8])
def test_all_balanced_strings_are_equally_likely(length):
    batch = draw(length, rows=40_000)
    counts = Counter(map(tuple, batch.inputs[batch.targets == 1].tolist()))
    everything = {s for s in itertools.product(range(4), repeat=length) if balanced(s)}
    assert set(counts) == everything
    n = length // 2
    assert len(everything) == math.comb(2 * n, n) // (n + 1) * 2**n  # Catalan's number of shapes
    expected = int((batch.targets == 1).sum()) / len(everything)
    assert all(abs(count - expected) < 6 * math.sqrt(expected) for count in counts.values())


def test_shapes_of_long_strings_are_balanced_too():
    opens = shapes(torch.Generator().manual_seed(0), torch.tensor([320] * 20 + [10] * 20), 320)
    depth = (2 * opens.long() - 1).cumsum(1)
    assert (depth[:20] >= 0).all() and (depth[:20, -1] == 0).all()
    assert not opens[20:, 10:].any() and (depth[20:, :10] >= 0).all() and (depth[20:, 9] == 0).all()


def test_what_is_not_balanced_has_one_fault_that_no_count_shows():
    """Turn back the fault: one string that is balanced must be got by exchanging two closing brackets."""
    batch = draw(24)
    exchanged = 0
    for tokens in batch.inputs[batch.targets == 0].tolist():
        opens = [token < 2 for token in tokens]
        depths = list(itertools.accumulate(1 if now else -1 for now in opens))
        assert min(depths) == 0 and depths[-1] == 0  # the shape is balanced: kinds alone are at fault
        faults, stack = [], []
        for t, token in enumerate(tokens):
            if token < 2:
                stack.append(t)
            elif tokens[opener := stack.pop()] != token - 2:
                faults.append((t, opener))
        if len(faults) == 2:
            exchanged += 1
            (i, i_opener), (j, j_opener) = faults
            assert tokens[i] != tokens[j] and i - i_opener > 1 and j - j_opener > 1
            counts = Counter(tokens)
            assert counts[0] == counts[2] and counts[1] == counts[3]
        else:
            assert len(faults) == 1  # no two of different kinds were far enough
    assert exchanged > 0.9 * int((batch.targets == 0).sum())


def test_a_short_string_has_one_bracket_of_another_kind():
    batch = draw(2, rows=200)
    seen = {tuple(tokens) for tokens in batch.inputs[batch.targets == 0].tolist()}
    assert seen == {(0, 3), (1, 2)}


def test_training_mixes_even_lengths():
    task = BracketMatching(length=8)
    batch = task.sample_training(torch.Generator().manual_seed(0), 2000)
    counts = Counter(batch.lengths.tolist())
    assert set(counts) == {2, 4, 6, 8} and min(counts.values()) > 400
    for tokens, n, target in rows_of(batch):
        assert balanced(tokens[:n]) == bool(target) and not any(tokens[n:])


def test_the_docstrings_example():
    tokens = {"(": 0, "[": 1, ")": 2, "]": 3}
    first, second = ([tokens[bracket] for bracket in text] for text in ("([](()))", "([][())]"))
    assert balanced(first) and not balanced(second)
    second[6], second[7] = second[7], second[6]
    assert balanced(second)


def test_bad_values_are_refused():
    BracketMatching(length=2)
    for bad, message in [
        ({"length": 1}, r"task.length=1 is too short .* at least 2"),
        ({"length": 41}, r"task.length=41 is odd, .* give 42"),
        ({"eval_lengths": [40, 81]}, r"task.eval_lengths=81 is odd, .* give 82"),
        ({"kinds": 1}, r"task.kinds=1 leaves nothing but counting"),
    ]:
        with pytest.raises(ConfigError, match=message):
            BracketMatching(**bad)
