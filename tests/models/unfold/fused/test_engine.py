"""The engine of compiled cells against the loop over the same steps."""

from __future__ import annotations

import gc
import itertools
import logging
import math
import random
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.models import Cell, unfold
from seqbench.models.cells.antisymmetric import AntisymmetricRNN
from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.cornn import CoRNN
from seqbench.models.cells.deep_transition import DeepTransitionRNN
from seqbench.models.cells.echo_state import EchoState
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.indrnn import IndRNN
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.lem import LEM
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.models.cells.mgu import MGU
from seqbench.models.cells.min_gru import MinGRU
from seqbench.models.cells.min_lstm import MinLSTM
from seqbench.models.cells.mut1 import MUT1
from seqbench.models.cells.orthogonal import OrthogonalRNN
from seqbench.models.cells.rnn import RNN
from seqbench.models.cells.skip import SkipRNN
from seqbench.models.cells.tcn import TCNBlock
from seqbench.models.cells.unicornn import UnICORNN
from seqbench.models.feedback import Feedback
from seqbench.models.memory.stack_rnn import StackRNN
from seqbench.models.memory.tape_rnn import TapeRNN
from seqbench.models.sequence import SequenceModel
from seqbench.models.unfold import chosen_engine
from seqbench.models.unfold.fused import NotCoveredError, engine, function

CELLS = {
    "rnn": RNN,
    "irnn": lambda f, h: RNN(f, h, activation="relu"),
    "leaky": LeakyRNN,
    "leaky, learnt": lambda f, h: LeakyRNN(f, h, alpha=(0.1, 0.9), learn_alpha=True),
    "lstm": LSTM,
    "gru": GRU,
    "gru, before": lambda f, h: GRU(f, h, form="before"),
    "gru, as printed": lambda f, h: GRU(f, h, form="as_printed"),
    "peepholes": lambda f, h: LSTMVariant(f, h, peepholes=True),
    "coupled": lambda f, h: LSTMVariant(f, h, coupled=True),
    "no gates": lambda f, h: LSTMVariant(
        f, h, input_gate=False, output_gate=False, candidate="sigmoid", output="identity"
    ),
    "mgu": MGU,
    "mut1": MUT1,
    "skip": lambda f, h: SkipRNN(f, h, delay=3),
    "skip alone": lambda f, h: SkipRNN(f, h, delay=2, single=False),
    "skip, longer than the sequence": lambda f, h: SkipRNN(f, h, delay=9),
    "parts that trade places": lambda f, h: Moving(f, h),
    "clockwork": ClockworkRNN,
    "deep": lambda f, h: DeepTransitionRNN(f, h, depth=3, skip=True),
    "min_gru": MinGRU,
    "echo": lambda f, h: EchoState(f, h, alpha=0.3),
    "indrnn": IndRNN,
    "antisymmetric": lambda f, h: AntisymmetricRNN(f, h, gated=True),
    "lem": LEM,
    "cornn": CoRNN,
    "unicornn": UnICORNN,
    "orthogonal": OrthogonalRNN,
    "orthogonal, exponential": lambda f, h: OrthogonalRNN(f, h, parametrisation="exponential"),
    "min_lstm": MinLSTM,
    "tcn": lambda f, h: TCNBlock(f, h, kernel_size=3),
    "stack": lambda f, h: StackRNN(f, h, stacks=2, stack_size=3, word_size=2),
    "tape": lambda f, h: TapeRNN(f, h, tape_size=5, word_size=2, jump=2),
}
RAGGED = [3, 7, 0, 1, 5]


class Moving(SkipRNN):
    """Parts of the state take the place of others: two trade theirs, one is taken twice, one stays."""

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        sizes = (*[self.hidden_size] * 6, 1, 1)
        return tuple(self.U.new_zeros(batch_size, size) for size in sizes)

    def step(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        a, b, c, d, e, f, narrow, other = state
        h = torch.tanh(projected + a @ self.W.t() + e @ self.D.t() + narrow * c - other)
        return h + f, (b, a, d, d, h, f, other, narrow + h[:, :1])

    def output_of(self, projected: object, state: object) -> None:
        return None


def passes(cell: Cell, x: Tensor, engine: str, **options) -> list[Tensor]:
    """Return outputs, last states and all gradients, from states that are not those of the start."""
    x = x.clone().requires_grad_()
    draw = torch.Generator().manual_seed(1)

    def randn_like(part: Tensor) -> Tensor:
        return torch.randn(part.shape, dtype=part.dtype, generator=draw)

    state = tree_map(
        lambda part: part.detach() + 0.3 * randn_like(part) * (part.shape[1] > 1),
        cell.initial_state(len(x)),
    )
    leaves = [part.requires_grad_() for part in tree_leaves(state)]
    outputs, end = unfold(cell, x, state, engine=engine, **options)
    found = [*tree_leaves(outputs), *tree_leaves(end)]
    loss = sum((part * randn_like(part)).sum() for part in found)
    trained = [p for p in cell.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, [x, *leaves, *trained], allow_unused=True, materialize_grads=True)
    return [part.detach() for part in (*found, *gradients)]


@pytest.mark.parametrize("name", CELLS)
def test_a_compiled_cell_is_its_loop(name: str) -> None:
    for sizes in ((3, 20), (1, 1)) if name in ("rnn", "peepholes", "skip") else ((3, 20),):
        cell = CELLS[name](*sizes).double()
        lengths = torch.tensor(RAGGED)
        for options in (
            {},
            {"last": True},
            {"lengths": lengths},
            {"lengths": lengths, "last": True, "reverse": True},
            {"checkpoint_steps": 3},
            {"lengths": lengths, "checkpoint_steps": 2},
        ):
            x = torch.randn(5, 7, sizes[0]).double()
            ours, theirs = (passes(cell, x, engine, **options) for engine in ("fused", "loop"))
            torch.testing.assert_close(
                ours, theirs, rtol=1e-12, atol=1e-12, msg=lambda m, o=options: f"{o} {m}"
            )
        x = torch.randn(41, 4, sizes[0]).double()  # more rows than go through the steps together
        torch.testing.assert_close(*(passes(cell, x, e) for e in ("fused", "loop")), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["leaky", "lstm", "gru", "mut1"])
def test_in_single_precision_only_the_rounding_differs(name: str) -> None:
    cell, x = CELLS[name](2, 64), torch.randn(32, 100, 2)
    ours, theirs = (passes(cell, x, engine) for engine in ("fused", "loop"))
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru, before", "skip"])
def test_a_row_has_the_bits_that_it_has_alone(name: str) -> None:
    cell, x = CELLS[name](3, 7), torch.randn(40, 9, 3)
    whole = unfold(cell, x)[0]
    for row in (0, 1, 31, 32, 39):
        assert torch.equal(unfold(cell, x[row : row + 1])[0][0], whole[row])
    lengths = torch.randint(0, 10, (40,))
    ragged = unfold(cell, x, lengths=lengths)[0]
    for row in range(40):
        assert torch.equal(ragged[row, : lengths[row]], whole[row, : lengths[row]])
        assert not ragged[row, lengths[row] :].any()


def test_calls_in_threads_have_the_bits_of_calls_in_turn() -> None:
    pairs = [(CELLS[name](2, 33), torch.randn(8, 50, 2)) for name in ("lstm", "gru", "leaky", "mgu") * 3]
    alone = [passes(cell, x, "fused") for cell, x in pairs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: passes(*pair, "fused"), pairs))
    for a, b in zip(alone, together, strict=True):
        assert all(starmap(torch.equal, zip(a, b, strict=True)))


def test_recomputation_and_no_gradient_change_no_bit_of_the_outputs() -> None:
    cell, x = LSTM(2, 12), torch.randn(4, 23, 2)
    outputs, (h, s) = unfold(cell, x)
    kept, (h2, s2) = unfold(cell, x, checkpoint_steps=5)
    with torch.no_grad():
        free, (h3, s3) = unfold(cell, x)
    for ours in ((kept, h2, s2), (free, h3, s3)):
        assert all(starmap(torch.equal, zip(ours, (outputs, h, s), strict=True)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_diverged_state_is_seen(bad: float) -> None:
    for kind in (RNN, LSTM, GRU, LeakyRNN):
        cell, x = kind(2, 5), torch.randn(3, 6, 2)
        cell.W.data[0, 0] = bad
        ours, theirs = unfold(cell, x)[0], unfold(cell, x, engine="loop")[0]
        assert torch.equal(ours.isnan(), theirs.isnan())
        x[1, 2, 0] = bad
        cell = kind(2, 5)
        ours, theirs = unfold(cell, x)[0], unfold(cell, x, engine="loop")[0]
        assert torch.equal(ours.isnan(), theirs.isnan()) and not ours[0].isnan().any()


def test_the_weights_are_those_that_the_cell_has_now() -> None:
    cell, x = GRU(2, 4), torch.randn(3, 5, 2)
    unfold(cell, x)
    other = GRU(2, 4)
    wanted = unfold(other, x)[0]
    cell.load_state_dict(other.state_dict())
    assert torch.equal(unfold(cell, x)[0], wanted)
    cell = GRU(2, 4)
    unfold(cell, x)
    cell.W = nn.Parameter(other.W.detach().clone())
    for name in ("U", "b", "d"):
        getattr(cell, name).data = getattr(other, name).data
    assert torch.equal(unfold(cell, x)[0], wanted)
    found = torch.func.functional_call(
        SequenceOf(GRU(2, 4)), dict(SequenceOf(other).named_parameters()), (x,)
    )
    assert torch.equal(found, wanted)


class SequenceOf(nn.Module):
    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        return unfold(self.cell, x)[0]


def test_without_gradients_nothing_is_kept_for_them(monkeypatch) -> None:
    kept, plain = [], function._empty
    monkeypatch.setattr(function, "_empty", lambda *args: (kept.append(args[-1]), plain(*args))[1])
    cell, x = LSTM(2, 4), torch.randn(3, 5, 2)
    for grad in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with grad():
            unfold(cell, x)
    assert kept == [True, False, False]


@pytest.mark.slow
def test_a_kernel_lives_no_longer_than_its_model_and_as_long() -> None:
    model = SequenceModel(CELLS["lstm"], 3, 4, feedback=True, classes=False, hidden_size=6)
    model(torch.randn(2, 5, 3), targets=torch.randn(2, 5, 4), teacher_mask=torch.ones(2, 5).bool())
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    cell, x = GRU(2, 4), torch.randn(3, 5, 2)
    found = [engine.kernel(cell.train(mode), x, cell.initial_state(3)) for mode in (True, False) * 2]
    assert found[0] is found[2] and found[1] is found[3], "an evaluation does not cost a kernel"


def test_an_option_that_changes_makes_another_kernel() -> None:
    cell, x = RNN(2, 4), torch.randn(3, 5, 2)
    first = unfold(cell, x)[0]
    cell.activation = "relu"
    assert (unfold(cell, x)[0] >= 0).all() and (first < 0).any()


@pytest.mark.parametrize("classes", [False, True])
def test_a_closed_loop_is_compiled_with_its_readout(classes: bool) -> None:
    """What is fed back is the softmax of an output, or the output itself; where a coin says so, the truth."""
    models = [
        SequenceModel(CELLS["lstm"], 3, 4, feedback=True, classes=classes, hidden_size=6, engine=e).double()
        for e in ("auto", "loop")
    ]
    models[1].load_state_dict(models[0].state_dict())
    x, lengths = torch.randn(5, 7, 3).double(), torch.tensor(RAGGED)
    targets = torch.randint(4, (5, 7)) if classes else torch.randn(5, 7, 4).double()
    coins = torch.rand(5, 7) < 0.5
    results = []
    for model in models:
        outputs, _ = model(x, lengths, targets=targets, teacher_mask=coins)
        (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum().backward()
        results.append([outputs.detach(), *(p.grad for p in model.parameters())])
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
    assert any(key[0] is Feedback for key in engine._ENTRIES[models[0]])


def test_under_vmap_and_autocast_the_loop_runs() -> None:
    cell, x = LeakyRNN(2, 4), torch.randn(6, 3, 5, 2)
    mapped = torch.func.vmap(lambda x: unfold(cell, x)[0])(x)
    torch.testing.assert_close(mapped, torch.stack([unfold(cell, each)[0] for each in x]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = unfold(cell, x[0])[0]
    assert 1e-4 < (half - unfold(cell, x[0])[0]).abs().max() < 0.1


class Apart(Cell):
    """A cell with a matrix of which its step reads columns."""

    def __init__(self) -> None:
        super().__init__(3, 5)
        self.A = nn.Linear(8, 5)

    def project(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.A.weight[:, :3], self.A.bias)

    def step(self, projected: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        h = torch.tanh(projected + nn.functional.linear(state[0], self.A.weight[:, 3:]))
        return h, (h,)

    def initial_state(self, batch_size: int) -> tuple[Tensor]:
        return (self.A.weight.new_zeros(batch_size, 5),)


class Optional(Apart):
    """A cell whose options lie in an object, and whose matrices may be tied."""

    def __init__(self) -> None:
        super().__init__()
        self.options = SimpleNamespace(scale=0.5)
        self.skipped: set[int] = set()
        self.U = self.V = nn.Parameter(torch.randn(5, 5))
        self.W = nn.Parameter(torch.randn(5, 5))
        self.register_buffer("a", torch.rand(5))
        self.register_buffer("c", self.a)

    def step(self, projected: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        scale = 0.0 if 1 in self.skipped else self.options.scale
        h = torch.tanh(projected + scale * state[0] @ self.U)
        h = torch.tanh(self.a * h @ self.V + self.c * state[0] @ self.W)
        return h, (h,)


def test_an_option_or_a_tie_that_changes_makes_another_kernel_wherever_it_lies() -> None:
    cell, x = Optional().double(), torch.randn(4, 6, 3).double()

    def is_its_loop() -> bool:
        ours, theirs = (unfold(cell, x, engine=name)[0] for name in ("fused", "loop"))
        return torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)

    assert is_its_loop()
    cell.options.scale = 2.0
    assert is_its_loop()
    cell.skipped.add(1)
    assert is_its_loop()
    cell.skipped.clear()
    cell.U, cell.W = nn.Parameter(torch.randn(5, 5).double()), cell.V  # two names still have one matrix
    assert is_its_loop()
    cell.a = torch.rand(5).double()
    assert is_its_loop()


class Called(Apart):
    """A cell whose step calls a module."""

    def __init__(self) -> None:
        super().__init__()
        self.B = nn.Linear(5, 5)

    def step(self, projected: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        h = torch.tanh(projected + self.B(state[0]).tanh())
        return h, (h,)


def test_a_hook_that_changes_gradients_takes_the_loop() -> None:
    cell, x = Called(), torch.randn(3, 5, 3)
    assert chosen_engine(cell) == "fused"
    cell.B.register_full_backward_hook(lambda module, given, came: (came[0] * 0.5,))
    unfold(cell, x)
    assert chosen_engine(cell) == "loop"


class Nested:
    """What holds numbers two places down, in slots."""

    __slots__ = ("inner",)
    on_helper = 0

    def __init__(self) -> None:
        self.inner = SimpleNamespace(deeper=SimpleNamespace(n=0))


COUNTS = {"n": 0}


def add_to_global() -> int:
    COUNTS["n"] += 1
    return COUNTS["n"]


def counter() -> Callable[[], int]:
    n = 0

    def count() -> int:
        nonlocal n
        n += 1
        return n

    return count


class Reset(Apart):
    """A cell that forgets its state after each period, which it counts somewhere."""

    on_class = 0
    in_closure = staticmethod(counter())

    def __init__(self, period: int, where: str) -> None:
        super().__init__()
        self.period, self.where = period, where

    def project(self, x: Tensor) -> Tensor:
        begun: dict[str, Callable[[], Any]] = {
            "number": lambda: 0,
            "list": list,
            "dict": lambda: {"n": 0},
            "tuple": lambda: (0,),
            "deque": lambda: deque([0]),
            "object": lambda: SimpleNamespace(n=0),
            "slots": Nested,
            "objects": lambda: [SimpleNamespace(n=0)],
            "module": lambda: [nn.Identity()],
            "array": lambda: np.zeros(5000),
            "iterator": lambda: itertools.count(1),
            "list iterator": lambda: iter(range(1, 1000)),
            "generator": lambda: random.Random(0),
        }
        self.held: Any = begun.get(self.where, lambda: None)()
        type(self).on_class = Nested.on_helper = COUNTS["n"] = 0
        type(self).in_closure = staticmethod(counter())
        random.seed(0)
        return super().project(x)

    def counted(self) -> int:
        match self.where:
            case "number":
                self.held += 1
                return int(self.held)
            case "list":
                self.held.append(1)
                return len(self.held)
            case "dict":
                self.held["n"] += 1
                return int(self.held["n"])
            case "tuple":
                self.held = (self.held[0] + 1,)
                return int(self.held[0])
            case "deque" | "array":
                self.held[-1] += 1
                return int(self.held[-1])
            case "object":
                self.held.n += 1
                return int(self.held.n)
            case "slots":
                self.held.inner.deeper.n += 1
                return int(self.held.inner.deeper.n)
            case "objects":
                self.held[0].n += 1
                return int(self.held[0].n)
            case "module":
                self.held[0].n = getattr(self.held[0], "n", 0) + 1
                return int(self.held[0].n)
            case "iterator" | "list iterator":
                return int(next(self.held))
            case "generator":
                return int(self.held.random() > 0.05)
            case "random":
                return int(random.random() > 0.05)
            case "global":
                return add_to_global()
            case "helper's class":
                Nested.on_helper += 1
                return Nested.on_helper
            case "closure":
                return type(self).in_closure()
        type(self).on_class += 1
        return self.on_class

    def step(self, projected: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        h, _ = super().step(projected, state)
        h = h * 0 if self.counted() % self.period == 0 else h
        return h, (h,)


@pytest.mark.parametrize(
    "where",
    [
        *("number", "list", "dict", "tuple", "deque", "object", "slots", "objects", "module", "array"),
        *("iterator", "list iterator", "generator", "random", "global", "helper's class", "closure", "class"),
    ],
)
@pytest.mark.parametrize("period", [2, 6, 100])
def test_a_step_that_counts_takes_the_loop_however_late_it_matters(period: int, where: str) -> None:
    cell, x = Reset(period, where).double(), torch.randn(4, 12, 3).double()
    torch.testing.assert_close(unfold(cell, x)[0], unfold(cell, x, engine="loop")[0], rtol=0, atol=0)
    assert chosen_engine(cell) == "loop"
    with pytest.raises(ValueError, match="changes "):
        unfold(cell, x, engine="fused")


def test_a_step_that_changes_nothing_has_a_kernel_whatever_its_cell_holds() -> None:
    cell, x = Apart(), torch.randn(4, 6, 3)
    cell.held = [Nested(), math.nan, np.zeros(5000), random.Random(0), {"a": (1, [2])}, Apart(), counter]
    cell.log = logging.getLogger("cell")
    state = random.getstate()
    unfold(cell, x)
    assert chosen_engine(cell) == "fused" and random.getstate() == state


class Unshown:
    def __repr__(self) -> str:
        raise RuntimeError

    def __reduce__(self) -> str:
        raise RuntimeError

    def __deepcopy__(self, memo: object) -> Unshown:
        return self


class Scaled(Apart):
    def __init__(self) -> None:
        super().__init__()
        self.options = SimpleNamespace(deep=[SimpleNamespace(scale=0.5)])

    def step(self, projected: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        h, _ = super().step(projected, state)
        h = h * self.options.deep[0].scale
        return h, (h,)


def test_what_a_cell_holds_deep_down_counts_at_each_call_and_need_not_be_shown() -> None:
    cell, x = Scaled(), torch.randn(4, 6, 3)
    for scale in (0.5, 0.25, 0.125):
        cell.options.deep[0].scale = scale
        torch.testing.assert_close(unfold(cell, x)[0], unfold(cell, x, engine="loop")[0])
        assert chosen_engine(cell) == "fused"
        cell.strange = Unshown()


def test_a_constant_that_is_no_number_changes_nothing() -> None:
    cell = Apart()
    cell.constant = math.nan
    unfold(cell, torch.randn(4, 6, 3))
    assert chosen_engine(cell) == "fused"


def test_a_hook_hears_of_every_step() -> None:
    cell, x, heard = Called(), torch.randn(3, 5, 3), []
    handle = cell.B.register_forward_hook(lambda *_: heard.append(1))
    unfold(cell, x)
    assert chosen_engine(cell) == "loop" and len(heard) >= 5
    handle.remove()
    assert chosen_engine(cell) == "fused"
    cell.register_forward_hook(lambda *_: None)  # which is not called as a module
    assert chosen_engine(cell) == "fused"


def test_derivatives_of_forward_mode_are_those_of_the_loop() -> None:
    cell, x = Apart().double(), torch.randn(2, 5, 3).double()
    along = torch.randn(2, 5, 3).double()
    found = [
        torch.func.jvp(lambda x, e=e: unfold(cell, x, engine=e)[0], (x,), (along,)) for e in ("auto", "loop")
    ]
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, along)
        out = torch.autograd.forward_ad.unpack_dual(unfold(cell, dual)[0])
    torch.testing.assert_close(out.tangent, found[0][1], rtol=1e-12, atol=1e-12)


def test_weights_may_be_columns_of_a_matrix() -> None:
    cell, x = Apart().double(), torch.randn(4, 6, 3).double()
    torch.testing.assert_close(*(passes(cell, x, e) for e in ("fused", "loop")), rtol=1e-12, atol=1e-12)


def test_a_cell_that_has_changed_gets_another_kernel() -> None:
    cell, x = Apart().double(), torch.randn(4, 6, 3).double()
    unfold(cell, x)
    cell.A = nn.Linear(8, 5).double()
    torch.testing.assert_close(unfold(cell, x)[0], unfold(cell, x, engine="loop")[0], rtol=1e-12, atol=1e-12)
    cell = DeepTransitionRNN(3, 5, depth=2, skip=True).double()
    unfold(cell, x)
    cell.S = None
    torch.testing.assert_close(unfold(cell, x)[0], unfold(cell, x, engine="loop")[0], rtol=1e-12, atol=1e-12)


def test_tensors_of_other_sizes_are_left_to_the_loop() -> None:
    """It says what is wrong with them; C would read beyond them."""
    cell, x = LeakyRNN(2, 4), torch.randn(6, 5, 2)
    one = (torch.randn(1, 4),)
    with pytest.raises(RuntimeError, match="existing size"):
        unfold(cell, x, one)
    with pytest.raises(NotCoveredError, match="several numbers of rows"):
        unfold(cell, x, one, engine="fused")
    with pytest.raises(NotCoveredError, match="several numbers of rows"):
        engine.kernel(cell, x, cell.initial_state(6), torch.tensor([3, 2]))


def test_lengths_may_change_before_the_way_back_and_be_longer_than_the_sequence() -> None:
    cell, x = LSTM(2, 4).double(), torch.randn(3, 5, 2).double()
    found = []
    for name in ("fused", "loop"):
        lengths = torch.tensor([9, 2, 4], dtype=torch.int32)
        given = x.clone().requires_grad_()
        outputs = unfold(cell, given, lengths=lengths, engine=name)[0]
        lengths.sub_(2)
        found.append(torch.autograd.grad(outputs.square().sum(), given)[0])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


def test_a_gradient_of_a_gradient_is_refused_and_never_wrong() -> None:
    cell, x = RNN(2, 4), torch.randn(3, 5, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="unfold it with engine='loop'"):
        torch.autograd.grad(unfold(cell, x)[0].sum(), x, create_graph=True)
    (g,) = torch.autograd.grad(unfold(cell, x, engine="loop")[0].sum(), x, create_graph=True)
    assert g.requires_grad


class Sorted(RNN):
    """A cell whose step has an operation that no kernel has."""

    def step(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(part.sort(-1).values for part in super().step(projected, state))


def test_a_cell_without_a_kernel_keeps_no_batch() -> None:
    """An exception that is raised again holds the frames of each time, and all tensors in them."""
    cell = Sorted(2, 3)
    batches = []
    for _ in range(3):
        x, state = torch.zeros(4, 5, 2), cell.initial_state(4)
        with pytest.raises(NotCoveredError):
            engine.kernel(cell, x, state)
        batches.append(weakref.ref(x))
        del x, state
    gc.collect()
    assert [batch() for batch in batches] == [None] * 3
