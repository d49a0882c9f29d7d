"""How models are optimised: clipping and learning rates."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.training.optimisation import GroupRates, OptimizerConfig


def gradients(*rows: list[float]) -> list[torch.Tensor]:
    """Gradients of two parameters, one of two numbers and one of one, for each seed."""
    all_ = torch.tensor(rows)
    return [all_[:, :2].clone(), all_[:, 2:].clone()]


def flat(of: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(of, dim=1)


def test_clipping_by_norm_keeps_the_direction_and_the_other_seeds() -> None:
    ours = gradients([3.0, 0.0, 4.0], [0.3, 0.0, 0.4])
    before = flat(ours)
    norm = OptimizerConfig(torch.optim.SGD, lr=0.1, clip_norm=1.0).clip(ours, lead=1)
    assert norm.tolist() == pytest.approx([5.0, 0.5])
    assert flat(ours).norm(dim=1).tolist() == pytest.approx([1.0, 0.5], abs=1e-6)
    assert torch.cosine_similarity(flat(ours), before).tolist() == pytest.approx([1.0, 1.0])


def test_the_rows_of_a_stack_are_summed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU sums a row in an order that depends on where it begins in memory."""
    vector_norm, strides = torch.linalg.vector_norm, []

    def observed(rows: torch.Tensor, **options: object) -> torch.Tensor:
        strides.append(rows.stride(0) * rows.element_size())
        return vector_norm(rows, **options)

    monkeypatch.setattr(torch.linalg, "vector_norm", observed)
    rows = torch.randn(8, 3, 67)
    norm = OptimizerConfig(torch.optim.SGD, lr=0.1, clip_norm=None).clip([rows], lead=1)
    torch.testing.assert_close(norm, rows.square().sum((1, 2)).sqrt())
    assert strides[0] % 128 == 0  # bytes, the largest load of a warp


def test_one_seed_is_clipped_as_torch_does() -> None:
    parameters = [torch.nn.Parameter(torch.randn(3, 4)), torch.nn.Parameter(torch.randn(5))]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    ours = [p.grad.clone() for p in parameters if p.grad is not None]
    norm = OptimizerConfig(torch.optim.SGD, lr=0.1, clip_norm=0.7).clip(ours)
    theirs = torch.nn.utils.clip_grad_norm_(parameters, 0.7)
    torch.testing.assert_close(norm, theirs)
    for gradient, parameter in zip(ours, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_clipping_by_value_bounds_every_component() -> None:
    ours = gradients([3.0, -0.2, -4.0], [0.1, 0.2, 0.3])
    norm = OptimizerConfig(torch.optim.SGD, lr=0.1, clip_norm=None, clip_value=0.5).clip(ours, lead=1)
    assert flat(ours)[0].tolist() == pytest.approx([0.5, -0.2, -0.5])
    assert flat(ours)[1].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert norm.tolist() == pytest.approx([math.sqrt(0.54), math.sqrt(0.14)])


def test_without_clipping_the_norm_is_told_and_nothing_changes() -> None:
    ours = gradients([30.0, 40.0, 0.0])
    assert OptimizerConfig(torch.optim.SGD, lr=0.1, clip_norm=None).clip(ours).item() == 50.0
    assert flat(ours)[0].tolist() == [30.0, 40.0, 0.0]


def test_learning_rates() -> None:
    config = OptimizerConfig(torch.optim.SGD, lr=1.0, schedule="cosine", warmup_steps=4)
    assert [config.lr_at(step, 104) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert config.lr_at(4, 104) == 1.0
    assert config.lr_at(54, 104) == pytest.approx(0.5)
    assert config.lr_at(103, 104) == pytest.approx((1 + math.cos(math.pi * 0.99)) / 2)
    linear = OptimizerConfig(torch.optim.SGD, lr=2.0, schedule="linear")
    assert [linear.lr_at(step, 4) for step in range(4)] == [2.0, 1.5, 1.0, 0.5]
    assert OptimizerConfig(torch.optim.SGD, lr=2.0).lr_at(999, 1000) == 2.0


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.0), ("weight_decay", -1.0), ("clip_value", 0.0), ("warmup_steps", -1)]
)
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"optim.{name}="):
        OptimizerConfig(torch.optim.SGD, **{"lr": 0.1, name: value})


def test_the_rate_falls_by_steps_at_the_start_of_epochs() -> None:
    config = OptimizerConfig(torch.optim.SGD, 1.0, schedule="step", decay=0.5, decay_after=4)
    rates = [config.lr_at(step, 70, epoch_steps=10) for step in range(0, 70, 5)]
    assert rates == [1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    config = OptimizerConfig(torch.optim.SGD, 1.0, schedule="step", decay=0.1, decay_after=2, decay_every=3)
    falls = [step for step in range(1, 10) if config.lr_at(step, 10, 1) != config.lr_at(step - 1, 10, 1)]
    assert falls == [2, 5, 8]


def test_the_rate_falls_at_each_plateau() -> None:
    config = OptimizerConfig(torch.optim.SGD, 1.0, schedule="plateau", decay=0.25, patience=2, warmup_steps=2)
    assert [config.lr_at(step, 9, plateaus=step // 3) for step in (0, 1, 2, 3, 8)] == [
        0.5,
        1,
        1,
        0.25,
        0.0625,
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"decay": 0.5}, r"optim\.decay=0\.5 has no effect with optim\.schedule=constant"),
        ({"schedule": "cosine", "decay_every": 2}, r"optim\.decay_every=2 has no effect"),
        ({"schedule": "step", "decay": 0.5}, r"needs optim\.decay_after"),
        ({"schedule": "step", "decay": 0.5, "decay_after": 1, "decay_every": 0}, r"decay_every=0 must be"),
        (
            {"schedule": "step", "decay": 0.5, "decay_after": 1, "patience": 1},
            r"give optim\.schedule=plateau",
        ),
        ({"schedule": "plateau", "decay": 0.5}, r"optim\.schedule=plateau needs optim\.patience"),
        ({"schedule": "plateau", "patience": 2}, r"optim\.schedule=plateau needs optim\.decay"),
        ({"schedule": "plateau", "decay": 0.5, "patience": 0}, r"optim\.patience=0 must be at least"),
        ({"schedule": "plateau", "decay": 1.0, "patience": 1}, r"optim\.decay=1\.0 must lie between"),
        (
            {"schedule": "plateau", "decay": 0.5, "patience": 1, "decay_after": 1},
            r"give optim\.schedule=step",
        ),
        ({"schedule": "step", "decay": 1.5, "decay_after": 1}, "between 0 and 1"),
        ({"schedule": "step", "decay": 0.5, "decay_after": 0}, r"optim\.decay_after=0 must be at least 1"),
    ],
)
def test_keys_of_steps_that_do_not_go_are_refused(keys, message) -> None:
    with pytest.raises(ConfigError, match=message):
        OptimizerConfig(torch.optim.SGD, 1.0, **keys)


class Decaying(torch.optim.SGD):
    """Its rate falls in its step, by a scheduler of its own."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            group["lr"] *= 0.9


class Unrated(torch.optim.Optimizer):
    """It keeps its rate to itself."""

    def __init__(self, params, lr, weight_decay):
        super().__init__(params, {})
        self.rate = lr

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= self.rate * parameter.grad


def test_an_optimizer_that_changes_its_rate_is_refused() -> None:
    refused = r"^Decaying changes the learning rate in its step, from 0.5 to 0.45, and optim.schedule sets"
    with pytest.raises(ValueError, match=refused):
        OptimizerConfig(Decaying, lr=0.5).moves()


@pytest.mark.parametrize("given", [{"schedule": "cosine"}, {"warmup_steps": 3}])
def test_a_rate_that_no_schedule_can_change_is_refused_with_a_schedule_alone(given: dict) -> None:
    (key, value), *_ = given.items()
    with pytest.raises(ConfigError, match=f"Unrated, has no 'lr' in its groups.*optim.{key}={value} could"):
        OptimizerConfig(Unrated, lr=0.5, **given).moves()
    config = OptimizerConfig(Unrated, lr=0.5)
    assert config.moves()
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = config.build([parameter])
    rates = GroupRates(optimizer, config)
    rates.set(0.1)
    rates.check()
    assert "lr" not in optimizer.param_groups[0]


def test_only_torchs_own_optimizers_are_known_to_be_elementwise() -> None:
    def grouped(parameters, lr, weight_decay):
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        return torch.optim.Adam([{"params": matrices}], lr=lr)

    assert OptimizerConfig(torch.optim.Adam, lr=0.5).elementwise
    assert OptimizerConfig(partial(torch.optim.Adam, eps=1e-3), lr=0.5).elementwise
    assert not OptimizerConfig(Decaying, lr=0.5).elementwise
    assert not OptimizerConfig(partial(grouped), lr=0.5).elementwise


def test_complex_parameters_are_optimised() -> None:
    """As two real ones, which is how torch's Adam is defined for them."""
    value = torch.tensor([0.3 + 0.4j, -1 + 2j])
    ours, pairs = torch.nn.Parameter(value.clone()), torch.nn.Parameter(torch.view_as_real(value).clone())
    config = OptimizerConfig(torch.optim.Adam, lr=0.1)
    for parameter in (ours, pairs):
        optimizer = config.build([parameter])
        for _ in range(3):
            parameter.grad = parameter.detach().clone()
            optimizer.step()
    torch.testing.assert_close(torch.view_as_real(ours.detach()), pairs.detach())


def test_complex_gradients_are_clipped_by_their_parts() -> None:
    config = OptimizerConfig(torch.optim.SGD, lr=0.1, clip_value=0.5, clip_norm=None)
    gradient = torch.tensor([0.3 - 4j, -1 + 0.2j])
    config.clip([gradient])
    assert torch.equal(gradient, torch.tensor([0.3 - 0.5j, -0.5 + 0.2j]))
    assert config.moves(torch.complex64) and OptimizerConfig(torch.optim.Adam, lr=0.1).moves(torch.complex64)


def test_a_group_without_a_number_for_its_rate_is_left_alone() -> None:
    class Relative(torch.optim.SGD):
        def __init__(self, params, lr, weight_decay):
            super().__init__(params, lr=lr)
            self.param_groups[0]["lr"] = None

        def step(self, closure=None):
            pass

    assert OptimizerConfig(Relative, lr=0.5).moves()
    with pytest.raises(ConfigError, match=r"optim.optimizer, Relative, has no 'lr' in its groups"):
        OptimizerConfig(Relative, lr=0.5, schedule="linear").moves()
