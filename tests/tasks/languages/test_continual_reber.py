"""The continual embedded Reber grammar."""

from __future__ import annotations

import math
import re

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.languages.continual_reber import ContinualReber
from tests.tasks.languages.test_embedded_reber import SYMBOLS, WHOLE


def draw(length, rows=300):
    return ContinualReber(length=length).sample(torch.Generator().manual_seed(0), rows, length)


def spell(row):
    return "".join(SYMBOLS[symbol] for symbol in row)


def one_hot(texts):
    tokens = torch.tensor([[SYMBOLS.index(symbol) for symbol in text] for text in texts])
    return torch.nn.functional.one_hot(tokens, 7).float()


def test_streams_are_strings_of_the_grammar_one_after_the_other():
    batch = draw(200)
    assert batch.mask is None and batch.lengths is None
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    strings, texts = [], {spell(row) for row in batch.inputs.tolist()}
    for text in texts:
        while match := WHOLE.match(text):
            strings.append(match.group())
            text = text[match.end() :]
        assert len(text) < 60  # what is cut off
    assert len(texts) == 300
    assert sum(map(len, strings)) / len(strings) == pytest.approx(12, abs=0.3)
    assert sum(string[1] == "T" for string in strings) / len(strings) == pytest.approx(0.5, abs=0.05)


def test_the_docstrings_example():
    drawn = re.sub(r"\W", "", "B T B P V V E T E B P B T X S E P E B")
    first, second = WHOLE.match(drawn).group(), drawn[9:-1]
    assert (first, second) == ("BTBPVVETE", "BPBTXSEPE") and WHOLE.fullmatch(second)


def test_a_new_string_is_measured_by_its_own_second_symbol():
    text = "BTBPVVETEBPBTXSEPEB"
    tokens = torch.tensor([[SYMBOLS.index(symbol) for symbol in text]])
    batch = Batch(tokens[:, :-1], tokens[:, 1:])
    measures = ContinualReber().measure(one_hot([text[1:]]), batch)
    assert measures["legal"][0].tolist() == [[1] * 18]
    assert [t for t, weight in enumerate(measures["long"][1][0].tolist()) if weight] == [6, 15]
    # Where two are allowed, one is not enough; elsewhere one is all.
    choices = [0, 2, 3, 4, 9, 11, 12, 13]
    assert [t for t, right in enumerate(measures["accuracy"][0][0].tolist()) if not right] == choices
    stale = text[:16] + "T" + text[17:]  # the second string ends as the first did
    measures = ContinualReber().measure(one_hot([stale[1:]]), batch)
    assert [t for t, right in enumerate(measures["legal"][0][0].tolist()) if not right] == [15]
    assert [measures["long"][0][0, t].item() for t in (6, 15)] == [1, 0]


def test_closed_loop_counts_what_is_legal_until_the_first_error():
    """30 steps; the last 20 outputs are made by the model, the first of these after true symbols."""
    task = ContinualReber(length=30)
    true = "BTBPVVETEBPB"  # of which the model reads 11
    made = "BTXSEPEBTBPVVETEBPBT"
    assert len(made) == 20 and WHOLE.match(true[:11] + made, 9)
    inputs = torch.tensor([[SYMBOLS.index(symbol) for symbol in true + "B" * 18]] * 3)
    wrong = made[:5] + "T" + made[6:]  # T where P is due, and then as before
    late = made[:-1] + "S"
    outputs = torch.cat([one_hot(["B" * 10] * 3), one_hot([made, wrong, late])], dim=1)
    values, weights = task.measure_closed(outputs, Batch(inputs, inputs))["closed_legal"]
    assert values.tolist() == [[1] * 20, [1] * 5 + [0] * 15, [1] * 19 + [0]]
    assert weights.tolist() == [[1] * 20] * 3
    together = torch.vmap(lambda o: task.measure_closed(o, Batch(inputs, inputs))["closed_legal"][0])
    assert torch.equal(together(outputs[None])[0], values)


def test_the_baseline_by_hand():
    """The first targets are T or P, B, T or P; then T or S or X, of which X is likelier, or V."""
    task = ContinualReber()
    log2 = math.log(2)
    assert task.baseline_loss(3) == pytest.approx(2 * log2 / 3)
    # After T: S or X; after P: T or V: four that are equally likely.
    assert task.baseline_loss(4) == pytest.approx(4 * log2 / 4)


def test_too_short_is_refused():
    ContinualReber(length=30)
    with pytest.raises(ConfigError, match=r"task.length=29 is too short .* at least 30"):
        ContinualReber(length=29)
