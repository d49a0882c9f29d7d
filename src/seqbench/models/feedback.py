"""Feedback: the output of a step is an input of the next one (Figs. 10.4 and 10.6)."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seqbench.models.body import Stack
from seqbench.models.unfold import Cell, State, unfold

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


class OutputFeedback(nn.Module):
    """What a sequence model is fed of its outputs ŷ, beside its input or in the input's place.

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
        body: Stack,
        x: Float[Tensor, "B T F"],
        lengths: Tensor | None,
        state: Any,
        targets: Tensor | None,
        last: bool,
    ) -> tuple[Tensor, Any]:
        """Run a body if no step waits for the output of another: only true outputs are fed.

        Args:
            body: the body of the model.
            x: the inputs of the task.
            lengths: valid steps of each row; None if all are.
            state: to continue from; None to begin.
            targets: the true outputs; None feeds zeros.
            last: return only the body's last valid output.

        Returns:
            The body's outputs; and the state: those of the layers, or these and the last ŷ in a pair.
        """
        if not self.beside:
            h, states = body(x, lengths, state, last)
            return h, states
        true = self._true_y(targets, x)
        states, y = (None, torch.zeros_like(true[:, 0])) if state is None else state
        fed = torch.cat([y[:, None], true], dim=1)
        h, states = body(torch.cat([x, fed[:, :-1]], dim=-1), lengths, states, last)
        rows = torch.arange(len(fed), device=fed.device)
        return h, (states, fed[:, -1] if lengths is None else fed[rows, lengths])

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
        """Run a model one step after another; like `open_loop`, but it returns the model's outputs.

        Args:
            network: the model; see `Feedback`.
            teacher_mask: where the truth is fed; None for nowhere.

            The others are those of `open_loop`.
        """
        body = cast(Stack, network.body)
        states, y = state if self.beside and state is not None else (state, None)
        y = x.new_zeros(len(x), self.output_size) if y is None else y
        outputs, (states, own) = unfold(
            Feedback(network, self.output_size),
            self._inputs(x, y, targets, teacher_mask),
            (body.initial_state(len(x)) if states is None else states, self.own(y)),
            lengths=lengths,
            last=last,
            engine="compile" if body.engine == "compile" else "loop",
        )
        return outputs, (states, own[-1]) if self.beside else states

    def y(self, o: Float[Tensor, "B O"]) -> Float[Tensor, "B O"]:
        """Return ŷ from the output of the readout."""
        return o.softmax(-1) if self.classes else o

    def own(self, y: Float[Tensor, "B O"]) -> Fed:
        """Return what is fed at the step after ŷ."""
        fed = [self._as_input(y)] if self.in_place else []
        return (*fed, y) if self.beside else tuple(fed)

    def _inputs(
        self, x: Tensor, y: Tensor, targets: Tensor | None, teacher_mask: Tensor | None
    ) -> FeedbackInput:
        """Return the inputs of a closed loop; y is ŷ before the first step."""
        teacher = teacher_mask
        if teacher is None:
            teacher = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        if not self.beside:  # there is no output before the first step that could be its input
            teacher = torch.cat([torch.ones_like(teacher[:, :1]), teacher[:, 1:]], dim=1)
        truth = [x] if self.in_place else []
        if self.beside:
            true = self._true_y(targets, x)
            truth.append(torch.cat([y[:, None].to(true.dtype), true[:, :-1]], dim=1))
        return FeedbackInput(() if self.in_place else (x,), tuple(truth), teacher)

    def _true_y(self, targets: Tensor | None, x: Tensor) -> Float[Tensor, "B T O"]:
        """Return the true outputs in the form of ŷ; zeros if there are no targets."""
        if targets is None:
            return x.new_zeros(*x.shape[:2], self.output_size)
        return targets.to(x.dtype) if self.one_hot is None else nn.functional.embedding(targets, self.one_hot)

    def _as_input(self, y: Tensor) -> Tensor:
        """Return ŷ in the form of an input: if that is a token, the likeliest, one-hot."""
        if not self.tokens:
            return y
        return (y.argmax(-1, keepdim=True) == torch.arange(y.shape[-1], device=y.device)).to(y.dtype)
