"""The cell: one step of a recurrent network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_leaves

from seqbench.models.observations import Observation

#: A pytree of tensors (B, …): a tuple, a named tuple, or these nested.
State = Any
#: From the projected input (B, …) and the state to the output and the next state.
Step = Callable[[Any, State], tuple[Any, State]]
Engine = Literal["auto", "fused", "native", "scan", "loop"]


class Cell(nn.Module, ABC):
    """One step f of a recurrent network.

    State and projected input are pytrees of tensors; no module keeps state between calls. A step is safe
    under `torch.func.vmap`: it has no branch on a tensor's value and no in-place write into an argument.
    """

    #: Whether `native` is defined: the cell computes exactly what one of torch's own recurrent modules does.
    #: A cell for which this depends on its options sets it in its constructor.
    has_native: bool = False
    #: Whether `scan` is defined: the next state is linear in the previous one.
    has_scan: ClassVar[bool] = False
    #: Steps that `scan` takes at once, where the cell was given a number.
    chunk_size: int | None = None
    #: Whether several copies may run as one under `torch.func.vmap`, each with the numbers that it has alone.
    #: A cell says so itself: one that draws random numbers or changes a buffer in its step may not. A user's
    #: class that defines `step` or `project` anew says so anew, see `runs_vectorized`.
    vectorizable: bool = False
    #: Whether `project` takes tokens (*steps,) in the place of one-hot vectors (*steps, F): it looks them up.
    #: A class that defines `project` anew says so anew.
    reads_tokens: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "project" in vars(cls) and "reads_tokens" not in vars(cls):
            cls.reads_tokens = False

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def runs_native(self) -> bool:
        """Whether the cell has `native`, and it does what `step` and `project` do."""
        return self.has_native and not self._has_anew(("step", "project"), "native")

    @property
    def runs_scan(self) -> bool:
        """Whether the cell has `scan`, and it does what `step` does."""
        return self.has_scan and not self._has_anew(("step",), "scan")

    @property
    def runs_from_start(self) -> bool:
        """Whether `scan_from_start` does what `scan` does with the initial state."""
        return not self._has_anew(("scan", "initial_state"), "scan_from_start")

    @property
    def runs_vectorized(self) -> bool:
        """Whether the cell is `vectorizable`, and it is of its own step and `project` that this is said."""
        return self.vectorizable and not self._has_anew(("step", "project"), "vectorizable")

    @property
    def runs_narrowed(self) -> bool:
        """Whether `narrowed` is that of the steps."""
        return not self._has_anew(("step", "initial_state"), "narrowed")

    @classmethod
    def _has_anew(cls, methods: tuple[str, ...], whole: str) -> bool:
        """Whether a class defines one of the methods anew, and not the one that takes all steps at once.

        The project's own classes may: tests hold both against each other.
        """
        for base in cls.__mro__:
            if whole in vars(base):
                return False
            own = f"{base.__module__}.".startswith("seqbench.")
            if not own and any(name in vars(base) for name in methods):
                return True
        return False

    @property
    def owner(self) -> nn.Module:
        """The module for whose life is kept what is compiled for the cell: mostly the cell itself."""
        return self

    @abstractmethod
    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Any:
        """Do all that does not depend on the state, for every step at once; return tensors (*steps, …)."""

    def store_by_token(self) -> None:
        """Lay out what tokens are looked up in so that the numbers of a token lie side by side."""

    @abstractmethod
    def step(self, projected: Any, state: State) -> tuple[Float[Tensor, "B H"], State]:
        """Take one step: from the projected input (B, …) and the state to the output and the next state."""

    def stepper(self) -> Step:
        """Return the step for one sequence; what depends on weights alone is computed once for all steps."""
        return self.step

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first step."""

    def narrowed(self, state: State, steps: int) -> State:
        """Return the part of the initial state that so many steps reach, where a cell knows one.

        The steps give the same numbers from it, and what it lacks stays as it is: `restored` adds it.
        """
        return state

    def restored(self, state: State) -> State:
        """Return the whole state after steps from a part of the initial one."""
        return state

    def native(
        self, x: Float[Tensor, "T B F"] | PackedSequence, state: State, projected: bool = False
    ) -> tuple[Float[Tensor, "T B H"] | PackedSequence, State]:
        """Run all steps in torch's own kernel (cuDNN, oneDNN); only where `has_native` is true.

        Args:
            x: the input.
            state: before the first step.
            projected: whether x is what `project` returns, and not what it takes.
        """
        raise NotImplementedError(f"{type(self).__name__} has no native engine.")

    def scan(self, projected: Any, state: State, valid: Tensor | None) -> tuple[Tensor, State]:
        """Run all steps (T, B, …) in parallel; a state does not change where `valid` (T, B, 1) is false."""
        raise NotImplementedError(f"{type(self).__name__} has no scan.")

    def scan_from_start(self, projected: Any, state: State, valid: Tensor | None) -> tuple[Tensor, State]:
        """Do as `scan`, where the state is the initial one, of which a cell may know that it is empty."""
        return self.scan(projected, state, valid)

    def output_of(self, projected: Any, state: State) -> Tensor | None:
        """Return the output of a step from the state after it; None if the output is no such function.

        Args:
            projected: the step's projected input; None for a state that no step has made, such as the first.
            state: after the step.
        """
        return None

    def output_after(self, projected: Any, state: State) -> Tensor | None:
        """Return what `output_of` does, where it is that of the cell's step, and None where it is not.

        It is not that of a user's class which makes the step anew and inherits `output_of` with another step.
        """
        return self.output_of(projected, state) if self._says_output() else None

    @classmethod
    def _says_output(cls) -> bool:
        bases = [base for base in cls.__mro__ if {"step", "output_of"} & vars(base).keys()]
        own, inherited = bases[0], next(vars(base)["step"] for base in bases[1:] if "step" in vars(base))
        return (
            "output_of" in vars(own)
            or f"{own.__module__}.".startswith("seqbench.")  # tests hold both against each other
            or getattr(inherited, "__isabstractmethod__", False)
        )

    @property
    def reach(self) -> int | None:
        """How many steps back an input has an effect on the output; None if there is no bound."""
        return None

    def expect(self, steps: int) -> None:
        """Be told the steps of the longest training sequence, where a model knows them, before any call.

        Raises:
            ValueError: there is no room for what the cell would keep of so many.
        """

    def check_length(self, steps: int) -> None:
        """Raise a ValueError if the cell cannot be used on sequences of `steps` steps, or not at its width.

        A constructor takes every width, as the search for that of a parameter budget tries them from 1 on.
        """

    def explained_by(self) -> type[nn.Module]:
        """Return the class whose docstring holds the equations: mostly the cell's own."""
        return type(self)

    def time_scales(self) -> str | None:
        """Return over how many steps the cell reaches by its making, in a phrase; None if weights decide.

        It is a delay, a period, or the time constants with which units start: how many steps a unit keeps its
        state where input and state are zero.
        """
        return None

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """Return the square matrices (H, H) that multiply the state, by the letters of the docstring."""
        return {}

    def dead_entries(self) -> dict[str, Bool[Tensor, " ..."]]:
        """Return which entries of the cell's own parameters are dead: their gradient is structurally zero.

        An entry is dead if its gradient is zero whatever the inputs, the weights and the length. Cells within
        the cell have the same method for theirs.

        Returns:
            Masks on the CPU, true at dead entries, by the names of the parameters that have some. They are
            made of sizes and options alone: a weight or a buffer has no values on the meta device.
        """
        return {}

    def unobservable(self) -> str | None:
        """Return why there is nothing to observe, in a sentence; None for a cell that has `observe`."""
        return f"{type(self).__name__} has no memory or attention to look into."

    def observe(
        self,
        inputs: Float[Tensor, "B T F"],
        states: State,
        outputs: Float[Tensor, "B ..."],
        layers: int,
    ) -> Observation:
        """Return what the cell's memory did in a batch.

        Args:
            inputs: of the cell.
            states: its state after each step, tensors (B, T, …).
            outputs: of the model whose first layer it is.
            layers: of the model.

        Raises:
            ValueError: there is nothing to observe.
        """
        raise ValueError(self.unobservable())

    @property
    def output_size(self) -> int:
        """Numbers in the output of one step."""
        return self.hidden_size

    @property
    def state_size(self) -> int:
        """Numbers carried from step to step for one sequence."""
        return sum(part[0].numel() * (1 + part.is_complex()) for part in tree_leaves(self.initial_state(1)))


def as_cell(made: Any, maker: str) -> Cell:
    """Return what `maker` made if it is a cell.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(made, Cell):
        raise ValueError(f"{maker} makes a {type(made).__name__}, which is no Cell.")
    return made


class StateOf(Cell):
    """A cell whose output is the state of another: unfolding it returns the state after every step."""

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell.input_size, cell.hidden_size)
        self.cell = cell

    def project(self, x: Any) -> Any:
        return self.cell.project(x)

    def step(self, projected: Any, state: State) -> tuple[State, State]:
        _, state = self.cell.step(projected, state)
        return state, state

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)
