"""What a graph can express, and what it leaves to the loop."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqbench.models import Cell, unfold
from seqbench.models.unfold import check_engine, chosen_engine


class Own(Cell):
    """A user's cell, whose step is given: h(t) = f(a, h, p) with a = U x(t) + W h(t−1)."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__(2, 4)
        self.U = nn.Parameter(torch.randn(4, 2))
        self.W = nn.Parameter(torch.randn(4, 4) / 2)
        self.p = nn.Parameter(torch.rand(4) + 0.5)
        self.scalar = nn.Parameter(torch.tensor(0.7))
        self.register_buffer("mask", torch.tensor([True, False, True, True]))
        self.register_buffer("steps", torch.zeros(()))
        self.function = function

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.U)

    def step(self, projected: Tensor, state: Any) -> Any:
        (h,) = state
        h = self.function(projected + h @ self.W, h, self)
        return h, (h,)

    def initial_state(self, batch_size: int) -> Any:
        return (self.U.new_zeros(batch_size, 4),)


class Rounded(torch.autograd.Function):
    """Rounds, with the gradient of doing nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (4 * x).round() / 4

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g


def without_gradient(h: Tensor) -> Tensor:
    with torch.no_grad():
        return 0.5 * h


def hooked(a: Tensor, hook: Callable[[Tensor], Tensor] = lambda g: 0.5 * g) -> Tensor:
    if a.requires_grad:
        a.register_hook(hook)
    return a


#: Bounded, so that five steps stay near 1 whatever follows.
COVERED = {
    "tanh": lambda a, h, c: a.tanh() + 0.1 * a.sin() * a.cos(),
    "sigmoid": lambda a, h, c: torch.sigmoid(a) - 0.5,
    "relu": lambda a, h, c: a.relu().tanh(),
    "leaky_relu": lambda a, h, c: F.leaky_relu(a, 0.2).tanh(),
    "exp, log": lambda a, h, c: torch.log(1 + torch.exp(-a.abs())) - torch.log1p(a * a),
    "sqrt": lambda a, h, c: torch.sqrt(a * a + 1) * torch.rsqrt(a * a + 2) - 0.5,
    "powers": lambda a, h, c: (a.square() + 1).reciprocal() - (a.abs() + 1) ** -1.5 + a.tanh() ** 2,
    "softplus": lambda a, h, c: F.softplus(a).tanh(),
    "silu": lambda a, h, c: F.silu(a).tanh() + F.gelu(a).tanh(),
    "extremes": lambda a, h, c: torch.maximum(a, h).tanh() - torch.minimum(a, c.p).tanh(),
    "clamp": lambda a, h, c: a.clamp(-0.5, 0.6) + a.clamp(min=0.1).tanh() - a.clamp(max=0.3).tanh(),
    "where": lambda a, h, c: torch.where(c.mask & (a > h), a.tanh(), 0.5 * h),
    "logic": lambda a, h, c: torch.where(~((a > 0) | (h <= 0)), a.tanh(), h) * (a != h) * (a < 3),
    "lerp": lambda a, h, c: torch.lerp(a.tanh(), h, torch.sigmoid(c.p)),
    "scalar weights": lambda a, h, c: c.scalar * a.tanh() + (1 - c.scalar) * h,
    "division": lambda a, h, c: a.tanh() / c.p + h / (2 + a * a) - 1 / (3 + h * h),
    "softmax": lambda a, h, c: torch.softmax(a, -1) + 0.1 * torch.log_softmax(a * c.p, 1),
    "norm": lambda a, h, c: a / (a.square().sum(-1, keepdim=True) + 1).sqrt() - a.mean(1)[:, None].tanh(),
    "parts": lambda a, h, c: torch.cat([a[:, 1:3].tanh(), h[:, :1], a.unbind(1)[3][:, None]], 1),
    "halves": lambda a, h, c: torch.cat([x * y.sigmoid() for x, y in [a.chunk(2, -1), h.chunk(2, -1)]], 1),
    "in turn": lambda a, h, c: torch.tanh(torch.tanh(h @ c.W) @ c.W.t() + a * (h @ c.W)),
    "phases": lambda a, h, c: torch.remainder(2 * a, c.p).sin(),
    "columns": lambda a, h, c: F.linear(h, torch.cat([c.W, c.W], 1)[:, 4:]) + a[:, -9:4].tanh(),
    "twice": lambda a, h, c: torch.tanh(h @ c.W + (h * c.p) @ c.W.t() + torch.addmm(a, h, c.W, )),
    "weights of weights": lambda a, h, c: torch.tanh(a @ (torch.eye(4, dtype=a.dtype) * 3 + c.W).inverse()),
    "a constant": lambda a, h, c: torch.tanh(a * torch.linspace(0, 1, 4, dtype=a.dtype) + torch.ones_like(h)),
    "argmax": lambda a, h, c: 0.5 * h + (a.argmax(-1)[:, None] == torch.arange(4)).to(a.dtype) * a.tanh(),
    "remainder": lambda a, h, c: torch.where(torch.remainder(torch.floor(9 * a), 2) == 0, a.tanh(), h),
    "rounding": lambda a, h, c: a.tanh() * a.sign() + a.round().tanh() + a.ceil().tanh() - a.trunc().tanh(),
    "weights that are rounded": lambda a, h, c: a.tanh() * c.p.round() + h * (c.scalar > 0),
    "erf": lambda a, h, c: torch.erf(a) - torch.sub(a.tanh(), h, alpha=0.5) + torch.rsub(h, 1.0) * 0.1,
}  # fmt: skip
LEFT = {
    "own gradient": (lambda a, h, c: Rounded.apply(a.tanh()), "a function with a backward pass of its own"),
    "no gradient": (lambda a, h, c: a.tanh() + without_gradient(h), "without gradients"),
    "a hook": (lambda a, h, c: hooked(a.tanh()), "hooks of gradients"),
    "a clipped gradient": (
        lambda a, h, c: hooked(a.tanh(), lambda g: g.clamp(-1e4, 1e4)),
        "hooks of gradients",
    ),
    "small gradients dropped": (
        lambda a, h, c: hooked(a.tanh(), lambda g: g * (g.abs() > 1e-4)),
        "hooks of gradients",
    ),
    "no gradient, of positive numbers": (
        lambda a, h, c: a.sigmoid() * h.sqrt() + without_gradient(h),
        "without gradients",
    ),
    "no number": (lambda a, h, c: (-a.exp()).log(), "not finite"),
    "whole numbers": (lambda a, h, c: a.tanh() * (a > 0).int(), "whole number"),
    "bounds with gradients": (lambda a, h, c: a.clamp(-c.p, c.p), "bounds that are tensors"),
    "an exponent": (lambda a, h, c: a.abs() ** c.p, "exceptions at 0"),
    "numbers from elsewhere": (
        lambda a, h, c: a.tanh() * torch.tensor([1.0, 2, 3, 4]),
        "no parameter and no",
    ),
    "weights through numpy": (
        lambda a, h, c: a.tanh() * torch.from_numpy(c.p.detach().numpy()),
        "no parameter",
    ),
    "another type": (lambda a, h, c: a.double().tanh().float(), "type"),
    "python's own dice": (lambda a, h, c: a.tanh() * random.random(), "depends on the number of rows"),
    "random": (lambda a, h, c: F.dropout(a, 0.5), "empty_like"),
    "noise": (lambda a, h, c: a + torch.randn_like(a), "draws random numbers"),
    "in place": (lambda a, h, c: a.tanh_(), "writes into a tensor"),
    "a counter": (lambda a, h, c: (c.steps.add_(1), a.tanh())[1], "writes into a tensor"),
    "a branch": (lambda a, h, c: a if bool(a.sum() > 0) else h, "sum"),
    "a number of weights": (lambda a, h, c: a.tanh() * c.scalar.item(), "reads a number"),
    "across rows": (lambda a, h, c: a - a.mean(0), "has no rows"),
    "the number of rows": (lambda a, h, c: a.tanh() / len(a), "depends on the number of rows"),
    "few rows or many": (lambda a, h, c: a.tanh() if len(a) > 10 else a, "depends on the number of rows"),
    "weights by rows": (lambda a, h, c: a.tanh() + c.p / len(a), "depends on the number of rows"),
    "rows turned": (lambda a, h, c: a.flip(0), "flip"),
    "three dimensions": (lambda a, h, c: (a[:, None] * h[:, :, None]).sum(1), "in each row"),
    "values with values": (lambda a, h, c: (a @ h.t()) @ h, "t.default"),
    "complex": (lambda a, h, c: torch.fft.fft(a).real, "complex"),
    "detached": (lambda a, h, c: a.tanh().detach(), "detach"),
}


@pytest.mark.parametrize("name", COVERED)
def test_a_users_cell_of_such_operations_is_compiled(name: str) -> None:
    torch.manual_seed(3)
    cell = Own(COVERED[name]).double()
    check_engine(cell, "fused")
    found = []
    x = torch.randn(6, 5, 2).double()
    for engine in ("fused", "loop"):
        given = x.clone().requires_grad_()
        outputs, (h,) = unfold(cell, given, engine=engine)
        loss = (outputs * torch.linspace(-1, 2, outputs.numel()).view_as(outputs)).sum() + h.square().sum()
        gradients = torch.autograd.grad(
            loss, [given, *cell.parameters()], allow_unused=True, materialize_grads=True
        )
        found.append([outputs.detach(), h.detach(), *gradients])
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", LEFT)
def test_what_a_graph_cannot_express_runs_the_loop(name: str) -> None:
    function, why = LEFT[name]
    cell = Own(function)
    generator = torch.get_rng_state()
    with pytest.raises(
        ValueError, match=f"engine=fused: Own has no such engine .*{why}.*; it has auto, loop"
    ):
        check_engine(cell, "fused")
    assert chosen_engine(cell) == "loop"
    assert torch.equal(generator, torch.get_rng_state()) and cell.steps == 0, "a trial leaves no trace"


def test_a_step_leaves_no_trace_in_the_cell_that_is_tried() -> None:
    cell = Own(lambda a, h, c: (setattr(c, "last", a), a.tanh())[1])
    assert chosen_engine(cell) == "fused" and not hasattr(cell, "last")
    assert "project of all steps" and chosen_engine(Centred()) == "loop"


class Apart(Own):
    """One of its states is read as a whole and in parts, with the gradient of a function of another."""

    def __init__(self) -> None:
        super().__init__(lambda a, h, c: a)

    def step(self, projected: Tensor, state: Any) -> Any:
        h, c = state
        o = h * c.tanh()
        return o, ((o + projected + h[:, :1]).tanh(), c + projected)

    def initial_state(self, batch_size: int) -> Any:
        return self.U.new_zeros(batch_size, 4), self.U.new_ones(batch_size, 4)


def test_a_state_may_be_read_as_a_whole_and_in_parts() -> None:
    assert chosen_engine(Apart()) == "fused"


class Centred(Own):
    """Its `project` looks at all steps at once."""

    def __init__(self) -> None:
        super().__init__(lambda a, h, c: a.tanh())

    def project(self, x: Tensor) -> Tensor:
        return super().project(x - x.mean(0) if x.ndim == 3 else x)
