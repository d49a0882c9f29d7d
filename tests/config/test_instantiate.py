"""Checked instantiation: what is refused, what a value becomes, and that checking happens once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.optim import Optimizer

from seqbench.config.instantiate import build, check, instantiate, signature_of
from seqbench.errors import ConfigError

SGD = {"_target_": "torch.optim.SGD", "_partial_": True, "momentum": "0.9", "nesterov": "yes"}


def test_values_take_the_type_of_their_parameter():
    checked = check(SGD, "optim.optimizer", Optimizer, (), partial=True)
    assert checked == {"_target_": "torch.optim.SGD", "_partial_": True, "momentum": 0.9, "nesterov": True}


def test_a_checked_node_is_made_many_times_with_what_is_given():
    checked = check(
        {"_target_": "torch.nn.Linear", "bias": False},
        "model",
        nn.Module,
        (),
        ("in_features", "out_features"),
    )
    first, second = (instantiate(checked, "model", nn.Module, in_features=3, out_features=n) for n in (2, 5))
    assert first.weight.shape == (2, 3) and second.weight.shape == (5, 3)
    assert first.bias is None and second.bias is None


class Pair(nn.Module):
    """Two modules, one of them made here."""

    def __init__(self, one: nn.Module, other: Callable[[int], nn.Module], sizes: list[int]) -> None:
        super().__init__()
        self.one, self.other, self.sizes = one, other(3), sizes


def test_nodes_within_a_node_are_made_anew_each_time():
    one = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 2}
    other = {"_target_": "torch.nn.Linear", "_partial_": True, "out_features": 4}
    node = {"_target_": f"{__name__}.Pair", "one": one, "other": other, "sizes": ["1", 2]}
    checked = check(node, "model", nn.Module, [__name__])
    assert checked == node | {"sizes": [1, 2]}
    first, second = (instantiate(checked, "model", nn.Module) for _ in range(2))
    assert first.one.weight is not second.one.weight and first.other.weight.shape == (4, 3)
    assert first.sizes == [1, 2] and first.sizes is not second.sizes


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (3, "part has no _target_: it does not say what to build."),
        ({"lr": 1}, "part has no _target_"),
        ({"_target_": "os.system"}, "part._target_=os.system is outside the packages allowed"),
        ({"_target_": "torch.optim.Sdg"}, "part._target_=torch.optim.Sdg cannot be found"),
        ({"_target_": "torch.nn.Identity", "_partial_": True}, "part._partial_=True must be false."),
        ({"_target_": "torch.nn.Linear", "in_feature": 1}, "part.in_feature is unknown to torch.nn.Linear."),
        (
            {"_target_": "torch.nn.Linear", "out_features": 1},
            "part.out_features is unknown to torch.nn.Linear.",
        ),
        (
            {"_target_": "torch.nn.Linear", "in_features": "x"},
            "part.in_features=x must be a whole number.",
        ),
        ({"_target_": "torch.optim.SGD", "lr": True}, "part.lr=true must be a number."),
        (
            {"_target_": "torch.optim.SGD", "lr": float("inf")},
            "part.lr=inf must be finite.",
        ),
        (
            {"_target_": "torch.optim.SGD", "lr": float("nan")},
            "part.lr=nan must be finite.",
        ),
        (
            {"_target_": "torch.nn.Linear", "in_features": True},
            "part.in_features=true must be a whole number.",
        ),
        (
            {"_target_": "torch.nn.Linear", "bias": [{"_target_": "os.system"}]},
            "part.bias has a _target_ deep",
        ),
    ],
)
def test_what_is_refused_is_one_sentence(node, sentence):
    with pytest.raises(ConfigError) as caught:
        check(node, "part", (nn.Module, Optimizer), (), ("out_features",))
    assert str(caught.value).startswith(sentence)


def test_names_past_those_of_the_signature_are_taken_where_any_is_and_the_others_are_checked():
    hints, takes_any = signature_of(torch.nn.LSTM)
    assert takes_any and "kwargs" not in hints
    target = "lightning.pytorch.loggers.TensorBoardLogger"
    node = {"_target_": target, "save_dir": "x", "log_graph": "no", "comment": "mine"}
    assert check(node, "logger.board", Logger, ())["log_graph"] is False
    with pytest.raises(ConfigError, match=r"logger.board.log_graph=maybe must be true or false"):
        check(node | {"log_graph": "maybe"}, "logger.board", Logger, ())


def test_what_the_target_says_is_told_with_the_key():
    with pytest.raises(ConfigError, match=r"^part.nesterov=true: Nesterov momentum requires a momentum"):
        build(
            {"_target_": "torch.optim.SGD", "nesterov": True},
            "part",
            Optimizer,
            (),
            params=[torch.nn.Parameter(torch.zeros(1))],
        )


def test_hydras_own_keys_build_nothing(tmp_path):
    touch = {"_target_": "pathlib.Path.touch", "_args_": [str(tmp_path / "made")]}
    for key in ("_args_", "_recursive_", "_convert_"):
        node = {"_target_": "torch.nn.Identity", key: [touch]}
        with pytest.raises(ConfigError, match=rf"part.{key} is not allowed; name the arguments of"):
            build(node, "part", nn.Module, ())
    assert not (tmp_path / "made").exists()
