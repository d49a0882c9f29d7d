"""The contract between models and the platform."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from seqbench.models.dropout import Dropout
from seqbench.models.observations import Observation
from seqbench.models.unfold import Cell


class Model(nn.Module):
    """A network that the platform can train on tasks; the base of all models.

    The parameters of the constructor and of `forward` say what a model takes; the platform passes it by name.
    The constructor gets what the task's specs know: `input_size`, `output_size`, `per_step`, …. `forward`
    gets parts of the batch: `inputs`, `lengths`, `targets`, `teacher_mask`, and any extras that the task's
    family defines. It returns the outputs, which the task's loss takes, and one more value, such as the last
    state, which truncated back-propagation passes to the next call as `state`.
    """

    #: The kinds of task that the model accepts.
    accepts: ClassVar[tuple[str, ...]] = ("sequence",)
    #: Whether several seeds may run as one under `torch.func.vmap`: in a pass no shape depends on data, no
    #: random number is drawn, and no buffer changes.
    vectorizable: bool = False
    #: Whether an output is an input of a later step. Such a model is evaluated when it is fed its own outputs
    #: and, as `open_…`, when it is fed the true ones.
    feeds_back: bool = False

    #: Whether `forward` has a parameter `state` and continues from what an earlier call returned beside the
    #: outputs, so that gradients can be truncated.
    carries_state: bool = False

    #: The dropout of training, whose masks `forward` takes as `dropout_mask`; None without.
    dropout_masks: Dropout | None = None

    #: Whether the first layer looks its tokens up, and does not multiply with one-hot vectors.
    looks_up: bool = False

    #: The most steps of a sequence that count, where outputs are computed at these alone: `forward` takes
    #: the extra `counted_steps`. None: at all.
    counted: int | None = None

    @property
    def state_size(self) -> int | None:
        """Numbers carried from step to step for one sequence; None if that has no meaning."""
        return None

    @property
    def is_fed_outputs(self) -> bool:
        """Whether the extra `teacher_mask` has an effect: training feeds true outputs, or the model's own."""
        return self.feeds_back

    @property
    def solves_readout(self) -> bool:
        """Whether training solves for the readout (`accumulate`, `solve`) and follows no gradient."""
        return False

    def accumulate(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch to the data that the readout is solved for; parameters are passed as in `forward`."""
        raise NotImplementedError(f"{type(self).__name__} has no readout that is solved for.")

    def solve(self) -> None:
        """Set the readout to the solution for all data accumulated so far."""
        raise NotImplementedError(f"{type(self).__name__} has no readout that is solved for.")

    @property
    def trained_part(self) -> nn.Module:
        """The part of the model that training sets: all of it, unless a readout is solved for."""
        return self

    def dead_entries(self) -> dict[str, Tensor]:
        """Return which entries of the model's own parameters are dead, see `Cell.dead_entries`."""
        return {}

    def live_parameters(self) -> int:
        """Return the number of live parameters: trained entries whose gradient is not structurally zero.

        Frozen weights do not count, nor, where a readout is solved for, do any but the readout's. An entry
        counts if some batch and some weights give it a gradient: that of a token which a task never shows
        does. A complex entry is two. The number follows from sizes alone, and so is the same on the meta
        device.
        """
        count = sum(numbers_in(p) for p in self.trained_part.parameters() if p.requires_grad)
        return count - sum(dead_numbers(module) for module in self.trained_part.modules())

    def check_length(self, steps: int) -> None:
        """Raise a ValueError if the model cannot be used on sequences of `steps` steps."""

    def time_scales(self) -> list[str]:
        """Return over how many steps the model reaches by its making, a phrase for each kind of part."""
        told = (module.time_scales() for module in self.modules() if isinstance(module, Cell))
        return list(dict.fromkeys(phrase for phrase in told if phrase))

    def explained_by(self) -> list[type[nn.Module]]:
        """Return the classes whose docstrings hold the model's equations, the outermost first."""
        return [type(self), *cell_classes(self)]

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """Return the square matrices that multiply a state, by the letters of the docstrings."""
        return recurrent_matrices(self)

    def obstacle_to_stepping(self) -> str | None:
        """Return why the model's states cannot be followed step by step, in a sentence; None if they can.

        A model that can be stepped has `encode` (inputs to vectors), a `body` with `cells`, one above
        another, a `readout`, and `per_step`, as `SequenceModel` has.
        """
        return f"{type(self).__name__} has no recurrent layers to look into."

    def unobservable(self) -> str | None:
        """Return why there is nothing to observe, in a sentence; None for a model that has `observe`."""
        return f"{type(self).__name__} has no memory or attention to look into."

    def observe(self, *args: Any, **kwargs: Any) -> Observation:
        """Return what the memory or the attention did in a batch; parameters are passed as in `forward`.

        Raises:
            ValueError: there is nothing to observe.
        """
        raise ValueError(self.unobservable())


def cell_classes(module: nn.Module) -> list[type[nn.Module]]:
    """Return the classes whose docstrings hold the equations of the cells in a module, each once."""
    cells = (part for part in module.modules() if isinstance(part, Cell))
    return list(dict.fromkeys(cell.explained_by() for cell in cells))


def recurrent_matrices(module: nn.Module) -> dict[str, Tensor]:
    """Return the recurrent matrices of all cells in a module, by the path to the cell and their letter."""
    return {
        f"{where}.{name}" if where else name: matrix
        for where, cell in module.named_modules()
        if isinstance(cell, Cell)
        for name, matrix in cell.recurrent_matrices().items()
    }


def numbers_in(parameter: Tensor, mask: Tensor | None = None) -> int:
    """Return how many real numbers a parameter is; with a mask, those where it is true."""
    entries = parameter.numel() if mask is None else int(mask.sum())
    return entries * (1 + parameter.is_complex())


def dead_numbers(module: nn.Module) -> int:
    """Return how many numbers of a module's own parameters are dead, see `Cell.dead_entries`."""
    if not isinstance(module, Cell | Model):
        return 0
    masks = module.dead_entries()
    return sum(numbers_in(module.get_parameter(name), mask) for name, mask in masks.items())
