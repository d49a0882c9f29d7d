"""Feedback: the output of a step is an input of the next one (Figs. 10.4 and 10.6)."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seqbench.models.body import Stack
from seqbench.models.unfold import Cell, Engine, State, unfold
from seqbench.models.unfold.valid import last_valid

#: What a network is fed of its previous output: tensors (B, …).
Fed = tuple[Tensor, ...]


class FeedbackInput(NamedTuple):
    """The inputs of a network with feedback, for all steps (B, T, …) or one (B, …).

    x: what the network is given beside the feedback.
    truth: what it is fed where `teacher` is true: the same tensors as `Fed`, made of true outputs.
    teacher: where it is fed the truth; elsewhere it is fed its own output.
    """

    x: Any
    truth: Fed
    teacher: Bool[Tensor, "B ..."]


class Feedback(Cell):
    """A network whose output is fed back, as one cell.

        x(t) ────────────────────▶┌─────────┐
                                  │ network │──▶ o(t)
        own(t−1), or truth(t) ───▶└─────────┘──▶ own(t)

    Its input is a `FeedbackInput`; its state is the network's own and what is fed back at the next step.

    Args:
        network: has `step(x, fed, state)`, which returns the output, the next state, and what to feed back.
        output_size: numbers in the network's output.
    """

    def __init__(self, network: nn.Module, output_size: int) -> None:
        super().__init__(0, output_size)
        self.network: Any = network

    @property
    def owner(self) -> nn.Module:
        owner: nn.Module = self.network  # of which there is one, and of these one for each call
        return owner

    def project(self, x: Any) -> Any:
        return x

    def step(self, projected: FeedbackInput, state: State) -> tuple[Any, State]:
        x, truth, teacher = projected
        inner, own = state
        fed = tuple(torch.where(teacher[:, None], t, o.to(t.dtype)) for t, o in zip(truth, own, strict=True))
        output, inner, own = self.network.step(x, fed, inner)
        return output, (inner, own)

    def initial_state(self, batch_size: int) -> State:
        raise NotImplementedError("`unfold` needs the state of a Feedback: it holds what is fed first.")


def closed_loop_engine(engine: Engine) -> Engine:
    """Return the engine of a network with feedback, from that of its layers: compiled, or the loop."""
    return "auto" if engine in ("auto", "fused") else "loop"


class Carried(NamedTuple):
    """The state of a model that is fed its outputs: all that the next step, wherever it is taken, depends on.

    states: of the layers; None before the first step.
    own: what it is fed of its own last output, where that is fed.
    truth: the last true output, in the form of ŷ (B, O), where that is fed beside the input; else empty.
    """

    states: Any
    own: Fed
    truth: Fed


class OutputFeedback(nn.Module):
    """What a sequence model is fed of its outputs ŷ, beside its input or in the input's place.

    A sequence may be run in pieces, each from the state of the one before, and gives the same outputs. At the
    first step of a sequence there is no output yet: x(1) is the true one, and beside it zeros are fed.

    Args:
        output_size: O.
        beside: whether ŷ(t−1) is an input beside x(t).
        in_place: whether in closed loop ŷ(t−1) takes the place of x(t): the task predicts its next input.
        classes: whether outputs are unnormalised log-probabilities, ŷ = softmax o, or numbers, ŷ = o.
        tokens: whether inputs are tokens. The likeliest then takes the place of x(t), one-hot.
    """

    def __init__(
        self, output_size: int, *, beside: bool, in_place: bool, classes: bool, tokens: bool
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.beside = beside
        self.in_place = in_place
        self.classes = classes
        self.tokens = tokens
        # An embedding with a frozen identity is a one-hot code that vmap can batch.
        self.one_hot: Tensor | None
        codes = torch.eye(output_size) if beside and classes else None
        self.register_buffer("one_hot", codes, persistent=False)

    def open_loop(
        self,
        network: nn.Module,
        x: Float[Tensor, "B T F"],
        lengths: Tensor | None,
        state: Any,
        targets: Tensor | None,
        last: bool,
    ) -> tuple[Tensor, Carried]:
        """Run a model if no step waits for the output of another: only true outputs are fed.

        Args:
            network: the model: it has a `body` and a `readout`.
            x: the inputs of the task.
            lengths: valid steps of each row; None if all are.
            state: to continue from; None to begin.
            targets: the true outputs; None feeds zeros.
            last: return only the last valid output.

        Returns:
            The outputs; and the state.
        """
        body, readout = cast(Stack, network.body), cast(Any, network.readout)
        before = self._start(x) if state is None else state
        given, truth = self.with_truth(x, targets, lengths, before.truth)
        h, states = body(given, lengths, before.states, last)
        o = readout(h)
        own = self.own(self.y(o if last else last_valid(o, lengths)))
        if lengths is not None:  # a row without a step keeps what it had
            some = lengths[:, None] > 0
            own = tuple(torch.where(some, new, old) for new, old in zip(own, before.own, strict=True))
        return o, Carried(states, own, truth)

    def closed_loop(
        self,
        network: nn.Module,
        x: Float[Tensor, "B T F"],
        lengths: Tensor | None,
        state: Any,
        targets: Tensor | None,
        teacher_mask: Bool[Tensor, "B T"] | None,
        last: bool,
    ) -> tuple[Tensor, Any]:
        """Run a model one step after another, so that it can be fed its own outputs; see `Feedback`.

        Args:
            teacher_mask: where the truth is fed; None for nowhere.

            The others are those of `open_loop`.
        """
        body = cast(Stack, network.body)
        before = self._start(x) if state is None else state
        teacher = teacher_mask
        if teacher is None:
            teacher = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        if state is None:
            teacher = torch.cat([torch.ones_like(teacher[:, :1]), teacher[:, 1:]], dim=1)
        fed = [x] if self.in_place else []
        truth = before.truth
        if self.beside:
            y = self._true_y(targets, x, truth)
            fed.append(y[:, :-1])
            truth = (_at_end(y, lengths),)
        outputs, (states, own) = unfold(
            Feedback(network, self.output_size),
            FeedbackInput(() if self.in_place else (x,), tuple(fed), teacher),
            (body.initial_state(len(x)) if before.states is None else before.states, before.own),
            lengths=lengths,
            last=last,
            engine=closed_loop_engine(body.engine),
            checkpoint_steps=body.checkpoint_steps,
        )
        return outputs, Carried(states, own, truth)

    def with_truth(
        self, x: Tensor, targets: Tensor | None, lengths: Tensor | None, truth: Fed = ()
    ) -> tuple[Tensor, Fed]:
        """Return the inputs of an open loop, x(t) with y(t−1) beside it if that is fed; and the last y.

        Args:
            x, targets, lengths: those of `open_loop`.
            truth: the y before the first step; zeros if that is empty.
        """
        if not self.beside:
            return x, ()
        y = self._true_y(targets, x, truth)
        return torch.cat([x, y[:, :-1]], dim=-1), (_at_end(y, lengths),)

    def y(self, o: Float[Tensor, "B O"]) -> Float[Tensor, "B O"]:
        """Return ŷ from the output of the readout."""
        return o.softmax(-1) if self.classes else o

    def own(self, y: Float[Tensor, "B O"]) -> Fed:
        """Return what is fed at the step after ŷ."""
        fed = [self._as_input(y)] if self.in_place else []
        return (*fed, y) if self.beside else tuple(fed)

    def _start(self, x: Tensor) -> Carried:
        """Return the state before the first step."""
        zeros = x.new_zeros(len(x), self.output_size)
        return Carried(None, self.own(zeros), (zeros,) if self.beside else ())

    def _true_y(self, targets: Tensor | None, x: Tensor, truth: Fed) -> Float[Tensor, "B U O"]:
        """Return y(0), y(1), …, y(T), in the form of ŷ; zeros where there are no targets or no y before."""
        rows, steps = x.shape[:2]
        if targets is None:
            y = x.new_zeros(rows, steps, self.output_size)
        else:
            y = (
                targets.to(x.dtype)
                if self.one_hot is None
                else nn.functional.embedding(targets, self.one_hot)
            )
        first = truth[0].to(y.dtype) if truth else torch.zeros_like(y[:, 0])
        return torch.cat([first[:, None], y], dim=1)

    def _as_input(self, y: Tensor) -> Tensor:
        """Return ŷ in the form of an input: if that is a token, the likeliest, one-hot."""
        if not self.tokens:
            return y
        return (y.argmax(-1, keepdim=True) == torch.arange(y.shape[-1], device=y.device)).to(y.dtype)


def _at_end(y: Float[Tensor, "B U O"], lengths: Tensor | None) -> Float[Tensor, "B O"]:
    """Return y(n) of each row of y(0), …, y(T), n its number of valid steps."""
    return y[:, -1] if lengths is None else y[torch.arange(len(y), device=y.device), lengths]
