"""The execution mode: how the passes of a run are executed.

It follows from the configuration and the kind of device alone: never from a clock, the number of seeds or the
load of the machine. So it decides the rounding of a run's numbers, and is part of the run's identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, cast

from torch import nn
from torch.utils._pytree import tree_leaves

from seqbench.errors import ConfigError, say
from seqbench.models.model import Model
from seqbench.models.unfold import Cell, Engine, chosen_engine
from seqbench.models.unfold.fused import compiler_obstacle
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.settings import TrainerSettings


class ExecutionMode(NamedTuple):
    """How the passes of a run are executed.

    engine: what unfolds the cells, see `seqbench.models.unfold`; several are joined by +. None if nothing is
        unfolded.
    vectorized: whether the seed is a row of a stack, see `seqbench.training.seed_stack`.
    threads: of one process.
    devices: processes that share each batch, one for each device.
    lookup: whether tokens are looked up, and not multiplied with as one-hot vectors.
    counted: whether outputs are computed at the steps alone that count.
    """

    engine: str | None = None
    vectorized: bool = False
    threads: int = 1
    devices: int = 1
    lookup: bool = False
    counted: bool = False

    @property
    def canonical(self) -> dict[str, Any]:
        """What enters a run's identity: all that is not plain."""
        return {name: value for name, value in self._asdict().items() if value != self._field_defaults[name]}

    def __str__(self) -> str:
        parts = [
            "seeds vectorized" if self.vectorized else "",
            f"engine {self.engine}" if self.engine else "",
            "tokens looked up" if self.lookup else "",
            "outputs at counted steps" if self.counted else "",
            f"{self.threads} threads" if self.threads > 1 else "",
            f"{self.devices} devices" if self.devices > 1 else "",
        ]
        return ", ".join(filter(None, parts)) or "eager"


def execution_mode(
    model: Model,
    optimizer: OptimizerConfig,
    settings: TrainerSettings,
    *,
    device: str = "cpu",
    processes: int = 1,
    observed: bool = False,
    name: str = "the model",
) -> ExecutionMode:
    """Return the mode of a run, by rule.

    On a CPU every seed has a pass of its own. On a GPU seeds share one where that is possible and the cells
    have no kernel of torch's own there, which vmap cannot batch.

    Args:
        model: of the run; it may be on the device `meta`.
        optimizer: how it is optimised.
        settings: of the run.
        device: the kind of device, as Lightning names it: cpu, cuda, mps.
        processes: that share each batch.
        observed: whether callbacks observe the run.
        name: of the model, for messages.

    Raises:
        ConfigError: `trainer.seeds_together` asks for what cannot be, or half precision for what has none.
    """
    half = str(settings.precision) not in ("32-true", "64-true")
    engines = _engines(model, device, half)
    if "fused" in engines and (half or device != "cpu"):
        held = f"trainer.precision={settings.precision}" if half else f"the device {device}"
        raise ConfigError(
            f"model.engine=fused is for single and double precision on a CPU, and not for {held}; give "
            "model.engine=auto."
        )
    if half and settings.precision != "bf16-mixed" and (cell := _complex(model)) is not None:
        raise ConfigError(
            f"trainer.precision={settings.precision}: the state of {cell} is complex, and no complex number "
            "has half precision; give trainer.precision=bf16-mixed."
        )
    if str(settings.precision) not in ("32-true", "bf16-mixed") and (found := _complex_weights(model)):
        raise ConfigError(
            f"trainer.precision={settings.precision} turns real numbers alone into that type, and {found} "
            "is complex; give trainer.precision=32-true, or write it as a real one and take "
            "torch.view_as_complex of it."
        )
    given = {getattr(module, "engine", None) for module in model.modules()}
    obstacles = {
        "the devices share the batches of one seed": processes > 1,
        "callbacks see one seed each": observed,
        f"{name} cannot be vectorised over seeds": not model.vectorizable,
        "the optimiser does not treat each number by itself": not optimizer.elementwise,
        "optim.omega takes every model by itself": optimizer.omega > 0,
        "optim.schedule=plateau gives each seed a rate of its own": optimizer.schedule == "plateau",
        f"{name} solves for its readout": model.solves_readout,
        "vmap has no rule for model.engine=native": "native" in given,
        "on a CPU each seed has a pass of its own": device == "cpu",
    }
    obstacle = next((why for why, holds in obstacles.items() if holds), None)
    if settings.seeds_together is True and obstacle is not None:
        raise ConfigError(f"trainer.seeds_together=true cannot be, because {obstacle}; leave it out.")
    wanted = settings.seeds_together
    vectorized = obstacle is None and ("native" not in engines if wanted == "auto" else wanted)
    if vectorized:
        engines = _engines(model, device, half, vectorized=True)
    if device == "cpu" and engines and "fused" not in engines:
        say_that_nothing_is_compiled()
    return ExecutionMode(
        engine="+".join(sorted(engines)) or None,
        vectorized=vectorized,
        threads=settings.num_threads,
        devices=processes,
        lookup=model.looks_up,
        counted=model.counted is not None,
    )


@cache
def say_that_nothing_is_compiled() -> None:
    """Say once why cells run slower than they could, if no kernel can be compiled here."""
    if (why := compiler_obstacle()) is not None:
        say(f"Cells are not compiled, and train slower, because {why}.")


def _engines(model: Model, device: str, half: bool, vectorized: bool = False) -> set[Engine]:
    """Return the engines that unfold the cells of a model's bodies."""
    kind = "cpu" if device == "cpu" else "cuda"
    found: set[Engine] = set()
    for module in model.modules():
        if not hasattr(module, "engine"):
            continue
        asked = cast(Engine, module.engine)
        for cell in _cells(module):
            engine = chosen_engine(
                cell, asked, kind, half, getattr(module, "checkpoint_steps", None) is not None
            )
            if vectorized and engine == "native":  # which vmap has no rule for
                engine = "scan" if cell.runs_scan else "loop"
            found.add(engine)
    return found


def _complex(model: Model) -> str | None:
    """Return the name of a cell in the model whose state is complex, or None."""
    cells = (module for module in model.modules() if isinstance(module, Cell))
    return next((type(cell).__name__ for cell in cells if _is_complex(cell.initial_state(1))), None)


def _complex_weights(model: Model) -> str | None:
    """Return the name of a complex parameter or buffer of the model, or None."""
    return next((name for name, part in model.state_dict().items() if part.is_complex()), None)


def _is_complex(state: Any) -> bool:
    return any(part.is_complex() for part in tree_leaves(state))


def _cells(module: nn.Module) -> Iterator[Cell]:
    """Yield the cells in a module, but not those that a cell is made of."""
    for child in module.children():
        if isinstance(child, Cell):
            yield child
        else:
            yield from _cells(child)
