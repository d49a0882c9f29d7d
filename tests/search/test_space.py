"""The space of a search: what is drawn, what is typed for it, what is refused."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from seqbench.errors import ConfigError
from seqbench.search.space import Choices, Range, arguments, corners, drawn, space_of

SPACE = {
    "optim": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}},
    "model": {
        "num_layers": {"low": 1, "high": 4, "integer": True},
        "cell": {
            "alpha": {"low": 0.1, "high": 2.0, "value": "[0.0,${seqbench.alpha:${draw}}]"},
            "recurrent_init": {"choices": ["orthogonal", 0.9, [1, 2]]},
        },
    },
}


def test_a_space_reads_as_the_configuration_that_it_varies():
    space = space_of(SPACE)
    assert list(space) == ["optim.lr", "model.num_layers", "model.cell.alpha", "model.cell.recurrent_init"]
    assert space["model.num_layers"] == Range(1, 4, integer=True)
    assert space["model.cell.recurrent_init"] == Choices(["orthogonal", 0.9, [1, 2]])


def test_each_part_of_every_range_is_drawn_once():
    space = space_of(SPACE)
    points = drawn(space, 12)
    rates = sorted(point["optim.lr"] for point in points)
    assert [int(4 * (i / 12)) for i in range(12)] == sorted(point["model.num_layers"] - 1 for point in points)
    for i, rate in enumerate(rates):
        assert 1e-4 * 1000 ** (i / 12) <= rate <= 1e-4 * 1000 ** ((i + 1) / 12)
    assert {point["model.cell.recurrent_init"] for point in points} == {"orthogonal", "0.9", "[1,2]"}
    other = {"optim.lr": space["optim.lr"], "model.hidden_size": Choices([1, 2])}
    assert [point["optim.lr"] for point in drawn(other, 12)] == [point["optim.lr"] for point in points]


def test_a_point_is_typed_with_three_digits_and_what_the_configuration_lacks_is_added():
    space = space_of(SPACE)
    config = OmegaConf.create({"optim": {"lr": 0.1}, "model": {"num_layers": 1, "cell": {"alpha": None}}})
    point = dict(zip(space, (0.00123456, 3, 0.777777, "0.9"), strict=True))
    assert arguments(space, point, config) == [
        *("optim.lr=0.00123", "model.num_layers=3", "model.cell.alpha=[0.0,${seqbench.alpha:0.778}]"),
        "+model.cell.recurrent_init=0.9",
    ]
    assert Range(0.12345, 1.0).typed(0.123451) == "0.12345"  # never below the range


def test_the_corners_have_every_end_and_every_choice():
    found = corners(space_of(SPACE))
    assert [point["optim.lr"] for point in found] == [1e-4, 1e-1, 1e-1]
    assert [point["model.cell.recurrent_init"] for point in found] == ["orthogonal", "0.9", "[1,2]"]


def test_what_optuna_is_told():
    rate, layers, _, init = (varied.distribution() for varied in space_of(SPACE).values())
    assert (rate.low, rate.high, rate.log) == (1e-4, 1e-1, True)
    assert (layers.low, layers.high) == (1, 4) and init.choices == ("orthogonal", "0.9", "[1,2]")


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ({}, "search.space is empty"),
        ({"optim": {"lr": 0.1}}, "search.space.optim.lr=0.1 says over what optim.lr is varied"),
        ({"optim": {"lr": {"low": 1, "high": 1}}}, "lr.low=1.0 must be below search.space.optim.lr.high=1.0"),
        ({"optim": {"lr": {"low": 0, "high": 1, "log": True}}}, "lr.low=0.0 must be above 0 where"),
        (
            {"optim": {"lr": {"low": 0.5, "high": 2, "integer": True}}},
            "lr.low=0.5 and .*high=2.0 must be whole",
        ),
        ({"optim": {"lr": {"low": 1}}}, "search.space.optim.lr.high has no value, and Range needs one"),
        ({"optim": {"lr": {"low": "a", "high": 2}}}, "search.space.optim.lr.low=a must be a number"),
        ({"optim": {"lr": {"low": 1, "hihg": 2}}}, "no key search.space.optim.lr.hihg. Did you mean .*high"),
        ({"optim": {"lr": {"low": 1, "high": 2, "value": "3"}}}, r"lr.value=3 must have \$\{draw\}"),
        ({"optim": {"lr": {"choices": []}}}, r"search.space.optim.lr.choices=\[\] names no value"),
        (
            {"optim": {"lr": {"choices": ["x" * 99]}}},
            "search.space.optim.lr.choices=.*: one of the choices is too long",
        ),
    ],
)
def test_what_is_no_space_is_one_sentence_with_the_whole_key(node, sentence):
    with pytest.raises(ConfigError, match=sentence):
        space_of(node)
