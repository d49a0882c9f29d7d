"""The parallel scan against the loop it stands for."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.func import vmap

from seqbench.models.scan import linear_scan


def loop(a: torch.Tensor, b: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    states = []
    for a_t, b_t in zip(a, b, strict=True):
        h = a_t * h + b_t
        states.append(h)
    return torch.stack(states)


def draw(steps: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    return tuple(
        torch.randn(*shape, 2, 3, dtype=dtype).requires_grad_() for shape in ((steps,), (steps,), ())
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8, 13, 64, 100])
def test_states_and_gradients_are_the_loops(steps: int, dtype: torch.dtype) -> None:
    given = draw(steps, dtype)
    ours, theirs = linear_scan(*given), loop(*given)
    scale = theirs.detach().abs().max()
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-13)
    towards = torch.randn_like(theirs) / scale
    for mine, expected in zip(
        *[torch.autograd.grad((h * towards).sum().abs(), given) for h in (ours, theirs)], strict=True
    ):
        torch.testing.assert_close(mine, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_first_and_second_derivatives(dtype: torch.dtype) -> None:
    given = draw(5, dtype)
    assert torch.autograd.gradcheck(linear_scan, given)
    assert torch.autograd.gradgradcheck(linear_scan, given)


def test_under_vmap_every_copy_is_scanned_alone() -> None:
    a, b, h = (torch.randn(4, *shape, 2, 3) for shape in ((7,), (7,), ()))
    together = vmap(linear_scan)(a, b, h)
    for i in range(4):
        torch.testing.assert_close(together[i], loop(a[i], b[i], h[i]))


def test_it_is_logarithmically_deep() -> None:
    """Doubling the length adds a fixed number of operations."""

    def operations(steps: int) -> int:
        given = tuple(torch.ones(*shape) for shape in ((steps, 1), (steps, 1), (1,)))
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            linear_scan(*given)
        return sum(event.count for event in profile.key_averages())

    counts = [operations(2**n) for n in (4, 6, 8, 10)]
    steps = [later - before for before, later in pairwise(counts)]
    assert steps[0] == steps[1] == steps[2] > 0
