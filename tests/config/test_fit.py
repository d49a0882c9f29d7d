"""Fitting: what a value becomes, and the words for what would fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf
from torch import Tensor

from seqbench.config.fit import count, fit, folder, shown
from seqbench.errors import ConfigError

Variant = Literal["halves", "1997"]


@pytest.mark.parametrize(
    ("value", "hint", "fitting"),
    [
        *((1000, int, 1000), (1e3, int, 1000), (1000.0, int, 1000), ("1000", int, 1000), ("1e3", int, 1000)),
        *((" 100 ", int, 100), (1e2, int | None, 100), (None, int | None, None), (-0.0, int, 0)),
        *((1, float, 1.0), ("0.1", float, 0.1), ("1e-3", float | None, 1e-3), (0.1, float | Tensor, 0.1)),
        *(
            (True, bool, True),
            ("yes", bool, True),
            (0, bool, False),
            ("auto", bool | Literal["auto"], "auto"),
        ),
        *(("a", str, "a"), (2024, str, "2024"), (7, str | None, "7"), (32, str | int, 32)),
        *((1997, Variant, "1997"), ("halves", Variant, "halves"), (3, Literal[2, 3], 3)),
        *(
            ([1e2, "50"], Sequence[int], [100, 50]),
            ([1e2], Sequence[int] | None, [100]),
            ([], Sequence[int], []),
        ),
        *(([1, 2024], Sequence[str], ["1", "2024"]), ([0.9, 1], tuple[float, float], [0.9, 1.0])),
        *((0.5, float | Sequence[float], 0.5), ([0, "1"], float | Sequence[float], [0.0, 1.0])),
        *(({"a": True, "b": [1.5]}, dict[str, Any], {"a": True, "b": [1.5]}), (True, Any, True)),
    ],
)
def test_a_value_takes_the_type_of_its_place(value, hint, fitting):
    found = fit(value, hint, "part.key")
    assert found == fitting and type(found) is type(fitting)
    if isinstance(found, list):
        assert [type(item) for item in found] == [type(item) for item in fitting]


@pytest.mark.parametrize(
    ("value", "hint", "words"),
    [
        (2.5, int, "=2.5 must be a whole number."),
        ("10k", int, "=10k must be a whole number."),
        ("", int, "= must be a whole number."),
        (True, int, "=true must be a whole number."),
        (1e30, int, "=1e+30 must be at most 9223372036854775807."),
        ("-1e30", int | None, "=-1e30 must be at least -9223372036854775807."),
        (1e39, float, "=1e+39 must be at most 3.4e+38."),
        ([3, -1e300], Sequence[float], "=[3,-1e+300] must be at least -3.4e+38."),
        ([1, -1e30], Sequence[int], "=[1,-1e+30] must be at least -9223372036854775807."),
        (None, int, "=null must be a whole number."),
        ({"a": 1}, int, "={a:1} must be a whole number."),
        ("abc", int | None, "=abc must be a whole number or null."),
        ([1], float, "=[1] must be a number."),
        ([1, 0.5], float, "=[1,0.5] must be a number; a sweep over these values reads part.key=1,0.5."),
        (True, float, "=true must be a number."),
        ("true", float, "=true must be a number."),
        (False, float | None, "=false must be a number or null."),
        (3, bool, "=3 must be true or false."),
        ("maybe", bool | None, "=maybe must be true, false or null."),
        ("maybe", bool | Literal["auto"], "=maybe must be true, false or auto."),
        (1.5, str, "=1.5 must be text."),
        (True, str | int, "=true must be text or a whole number."),
        ([], str | Path, "=[] must be a path."),
        ("", str | Path | None, "= must be a path or null."),
        ("foo", Variant, "=foo must be halves or 1997."),
        (None, Variant, "=null must be halves or 1997."),
        (4, Literal[2, 3], "=4 must be 2 or 3."),
        ("x", Literal["a", "b"] | float, "=x must be a, b or a number."),
        (50, Sequence[int], "=50 must be a list of whole numbers, such as [50,100]."),
        (50, Sequence[int] | None, "=50 must be a list of whole numbers, such as [50,100], or null."),
        ([2.5], Sequence[int], "=[2.5] must be a list of whole numbers, such as [50,100]."),
        (["a", True], Sequence[int], "=[a,true] must be a list of whole numbers, such as [50,100]."),
        ("first", Sequence[str], "=first must be a list of words, such as [one,two]."),
        (
            [0.9],
            tuple[float | Tensor, float | Tensor],
            "=[0.9] must be a list of 2 numbers, such as [0.9,0.99].",
        ),
        ([1, 2, 3], tuple[float, float], "=[1,2,3] must be a list of 2 numbers, such as [0.9,0.99]."),
        (0.9, tuple[float, float], "=0.9 must be a list of 2 numbers, such as [0.9,0.99]."),
        ("x", float | Sequence[float], "=x must be a number or a list of numbers, such as [0.9,0.99]."),
        (
            [True],
            float | Sequence[float],
            "=[true] must be a number or a list of numbers, such as [0.9,0.99].",
        ),
        (None, dict[str, Any], "=null must be keys with values, such as {key:value}."),
        (3, Callable[[int, int], Tensor], "=3 must be a node with a _target_."),
        ({"a": 1}, Callable[[int], int] | None, " has no _target_: it does not say what to build."),
    ],
)
def test_what_does_not_fit_is_told_in_words(value, hint, words):
    with pytest.raises(ConfigError) as caught:
        fit(value, hint, "part.key")
    assert str(caught.value) == f"part.key{words}"


@pytest.mark.parametrize("hint", [float, float | None, float | Sequence[float], Any, str, dict[str, Any]])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), [0.1, float("-inf")], {"a": [float("nan")]}])
def test_every_number_is_finite_wherever_it_stands(value, hint):
    with pytest.raises(ConfigError, match=r"^part\.key=.*(nan|inf).* must be finite\.$"):
        fit(value, hint, "part.key")


def test_words_for_numbers_that_are_not_finite_are_none():
    for word in ("nan", "inf", "-Infinity"):
        with pytest.raises(ConfigError, match=r"part\.key=.* must be finite"):
            fit(word, float, "part.key")
    with pytest.raises(ConfigError, match=r"part\.key=1e999 must be"):
        fit("1e999", int, "part.key")


def test_counts_have_a_range():
    assert [count(value, "n", 1, 10**4) for value in (3, 1e3, "1e3", "7")] == [3, 1000, 1000, 7]
    for value, words in [
        *((0, "at least 1"), (10**9, "at most 10000"), (2.5, "at least 1"), ("10k", "at least 1")),
        *((True, "at least 1"), (None, "at least 1"), (float("nan"), "at least 1")),
    ]:
        with pytest.raises(ConfigError) as caught:
            count(value, "n", 1, 10**4)
        assert str(caught.value) == f"n={shown(value)} must be a whole number, {words}."


def test_folders_have_names(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert [folder(value, "runs_dir") for value in ("runs", "~/x", 3, "a b", "/x")] == [
        *("runs", "/home/ada/x", "3", "a b", "/x")
    ]
    for value in (None, "", "  ", True, 0.5, [], {"a": 1}, OmegaConf.create(["a"])):
        with pytest.raises(ConfigError) as caught:
            folder(value, "runs_dir")
        assert str(caught.value) == f"runs_dir={shown(value)} must name a folder, such as runs_dir=runs."


def test_a_part_that_is_a_group_of_presets_is_chosen_so():
    with pytest.raises(ConfigError, match=r"_target_; model/readout=ridge chooses a preset\.$"):
        fit("ridge", Callable[[int, int], Tensor], "model.readout")


def test_values_are_shown_as_they_are_typed():
    values = [None, True, 1, 0.5, "a", [1, "a", [True]], {"a": None, "b": [1]}, "x" * 100]
    assert [shown(value) for value in values] == [
        *("null", "true", "1", "0.5", "a", "[1,a,[true]]", "{a:null,b:[1]}", "x" * 80 + "…")
    ]
