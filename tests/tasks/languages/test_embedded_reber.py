"""The embedded Reber grammar."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.languages.embedded_reber import EmbeddedReber

SYMBOLS = "BTPSXVE"

#: The grammar once more, as a regular expression. What goes on after state 5, and after state 4.
AFTER_5 = "(?:PXT*V)*(?:V|PS)"
AFTER_4 = f"(?:S|XT*V{AFTER_5})"
INNER = f"B(?:TS*X{AFTER_4}|PT*V{AFTER_5})E"
WHOLE = re.compile(f"B(?:T{INNER}T|P{INNER}P)E")

#: A string, and what is allowed after each of its symbols but the last.
STRING = "BTBPVVETE"
ALLOWED = ["TP", "B", "TP", "TV", "PV", "E", "T", "E"]


def draw(length, rows=1000, seed=0):
    batch = EmbeddedReber(length=length).sample(torch.Generator().manual_seed(seed), rows, length)
    strings = [
        "".join(SYMBOLS[symbol] for symbol in [*given[:n], target[n - 1]])
        for given, target, n in zip(*(part.tolist() for part in (*batch[:2], batch.lengths)), strict=True)
    ]
    return batch, strings


def by_hand(allowed=ALLOWED, string=STRING):
    """Return outputs that put what is allowed first, and the batch of one string."""
    tokens = torch.tensor([[SYMBOLS.index(symbol) for symbol in string]])
    outputs = torch.tensor([[[float(symbol in some) for symbol in SYMBOLS] for some in allowed]])
    outputs += torch.linspace(0, 0.1, 7)  # no two are alike
    steps = tokens.shape[1] - 1
    batch = Batch(tokens[:, :-1], tokens[:, 1:], torch.ones(1, steps, dtype=torch.bool))
    return outputs, batch


def test_strings_are_of_the_grammar_and_targets_come_next():
    batch, strings = draw(40)
    assert all(WHOLE.fullmatch(string) for string in strings)
    assert batch.inputs.shape == batch.targets.shape == batch.mask.shape == (1000, 40)
    assert torch.equal(batch.mask, torch.arange(40) < batch.lengths[:, None])
    for given, target, n in zip(*(part.tolist() for part in (*batch[:2], batch.lengths)), strict=True):
        assert target[: n - 1] == given[1:n] and 8 <= n <= 40
        assert not any(given[n:]) and not any(target[n:])
    assert len(set(strings)) > 100
    assert sum(map(len, strings)) / 1000 == pytest.approx(12, abs=0.5)


def test_strings_that_are_too_long_are_drawn_again():
    """Ten symbols at most leave an inner string of five or six, with three choices or four."""
    _, strings = draw(9, rows=7000)
    inner = {"BTXSE": 2 / 7, "BPVVE": 2 / 7, "BTSXSE": 1 / 7, "BPTVVE": 1 / 7, "BPVPSE": 1 / 7}
    counts = Counter(strings)
    assert set(counts) == {f"B{side}{text}{side}E" for side in "TP" for text in inner}
    for string, count in counts.items():
        assert count == pytest.approx(7000 * inner[string[2:-2]] / 2, rel=0.2)


def test_what_is_allowed_is_what_comes_up():
    task = EmbeddedReber()
    _, strings = draw(40, rows=20_000)
    followers, times = defaultdict(set), Counter()
    for string in strings:
        for n in range(1, 9):
            followers[string[:n]].add(string[n])
            times[string[:n]] += 1
    seen = 0
    for prefix, symbols in followers.items():
        if times[prefix] < 50:  # so many leave none of two out
            continue
        tokens = torch.tensor([[SYMBOLS.index(symbol) for symbol in prefix]])
        outputs = torch.tensor([[[float(symbol in symbols) for symbol in SYMBOLS]] * len(prefix)])
        exact, _ = task.measure(outputs, Batch(tokens, tokens))["accuracy"]
        assert exact[0, -1] == 1, prefix
        seen += 1
    assert seen > 50


def test_measures_by_hand():
    task = EmbeddedReber()
    outputs, batch = by_hand()
    measures = task.measure(outputs, batch)
    for name in ("legal", "accuracy"):
        assert measures[name][0].tolist() == [[1] * 8] and measures[name][1].tolist() == [[1] * 8]
    assert measures["long"][1].tolist() == [[0, 0, 0, 0, 0, 0, 1, 0]] and measures["long"][0][0, 6] == 1
    # One of two that are allowed; one more than is allowed; the wrong one, at the end of a long span.
    outputs, batch = by_hand(["T", "BE", "TP", "TV", "PV", "E", "P", "E"])
    measures = task.measure(outputs, batch)
    assert measures["legal"][0].tolist() == [[1, 0, 1, 1, 1, 1, 0, 1]]  # E's output is above B's
    assert measures["accuracy"][0].tolist() == [[0, 0, 1, 1, 1, 1, 0, 1]]
    assert measures["long"][0][0, 6] == 0


def test_padding_counts_for_nothing():
    batch, _ = draw(40, rows=50)
    outputs = torch.randn(50, 40, 7)
    measures = EmbeddedReber().measure(outputs, batch)
    for name in ("loss", "legal", "accuracy"):
        assert torch.equal(measures[name][1] > 0, batch.mask)
    long = measures["long"][1]
    assert long.sum(1).tolist() == [1] * 50
    assert long.argmax(1).tolist() == (batch.lengths - 2).tolist()


def test_seeds_together_are_measured_as_each_alone():
    batch, _ = draw(40, rows=5)
    outputs, task = torch.randn(2, 5, 40, 7), EmbeddedReber()
    together = torch.vmap(lambda o: {k: v[0] for k, v in task.measure(o, batch).items()})(outputs)
    for k in range(2):
        for name, (values, _) in task.measure(outputs[k], batch).items():
            torch.testing.assert_close(together[name][k], values)


def test_the_baseline_by_hand():
    """Nine symbols: BTXSE or BPVVE within T or P, so that five of the eight targets are one of two."""
    assert EmbeddedReber(length=8).baseline_loss(8) == pytest.approx(5 * math.log(2) / 8)


def test_too_short_is_refused():
    EmbeddedReber(length=8)
    with pytest.raises(ConfigError, match=r"task.length=7 is too short .* at least 8"):
        EmbeddedReber(length=7)


def test_chance_by_hand_on_the_shortest_strings():
    """BTBTXSETE and BTBPVVETE, and with P for their outer T: of 8 steps 4 are not known."""
    assert {*draw(8, rows=4000)[1]} == {"BTBTXSETE", "BPBTXSEPE", "BTBPVVETE", "BPBPVVEPE"}
    chance = EmbeddedReber(length=8).chance(8)
    # After B come T, P; after it B; after BTB T, P. Then come X or V, where S or T would be legal too, and S
    # or V, where X or P would be: {S, X} and {T, V} do not come first. Then E; T or P, as likely; E.
    assert chance["accuracy"] == pytest.approx((1 + 1 + 1 + 0 + 0 + 1 + 0.5 + 1) / 8)
    assert chance["legal"] == pytest.approx((1 + 1 + 1 + 0.5 + 0.5 + 1 + 0.5 + 1) / 8)
    assert chance["long"] == pytest.approx(0.5)
