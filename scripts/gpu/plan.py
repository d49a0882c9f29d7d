"""The plan: which models, engines and sizes the parts go through, on a GPU or at tiny sizes on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch

from seqbench.config.presets import model_accepts, preset_names
from seqbench.models.unfold import Engine
from seqbench.models.unfold.engines import FUSED_ON
from seqbench.training.seed_stack import WIDTH


class Size(NamedTuple):
    """Rows of a batch, steps of a sequence where the task lets one choose, and units."""

    batch: int
    steps: int
    width: int


#: For each kind of task that a model takes, the tasks that are learnt: the first has batches of one shape.
#: Its other tasks are gone through by parity alone; the rows of an embedded Reber batch differ in length.
TASKS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "sequence": (
        ("task=adding", "task.length={steps}"),
        ("task=embedded_reber", "task.length={steps}"),
    ),
    "story": (("task=stories", "task.length=4", "task.eval_lengths=null", "task.types=[one_fact]"),),
    "tree": (("task=listops",),),
    "two-sequence": (("task=reverse", "task.length=5"),),
}
#: Options that make a preset small, besides its width.
SMALL = {"ntm": ("model.cell.memory_size=4", "model.cell.word_size=2")}


@dataclass(frozen=True)
class Plan:
    """What is checked, and at which sizes.

    Attributes:
        device: its kind, cpu or cuda.
        left_out: parts that are not gone through here, and why.
        models: every preset of conf/model, and the kind of task that it learns.
        engines: those that a cell may have on the device.
        tolerances: how far a number may be from that of a CPU in double precision, for each number type; a
            share of the largest one where that is above 1.
        small: of what is compared.
        seeds: that train together.
        ddp_of: models whose batches all devices share.
        graphs_of, graphs: models of which a step is captured as a CUDA graph, and the size at which it is
            timed.
        compared_steps: replayed steps that are compared with eager ones.
        memory_of, lengths, checkpoint_steps: models whose peak memory is taken, at which lengths, and the
            steps between kept states.
        memory: of these; its steps are of no account.
        precisions, half_steps: number types of two bytes, and for how many steps they train.
        speed_of, speeds: models that are timed, and their sizes.
        width: seeds of a stack.
        rounds, repeats: a time is the median of so many rounds, each the mean of so many steps.
        seconds: the longest that a part may take.
    """

    device: str
    left_out: Mapping[str, str]
    models: Mapping[str, str]
    engines: tuple[Engine, ...]
    small: Size
    graphs: Size
    memory: Size
    lengths: tuple[int, int]
    checkpoint_steps: int
    speeds: tuple[Size, ...]
    rounds: int
    repeats: int
    tolerances: Mapping[torch.dtype, float]
    seeds: int = 4
    ddp_of: tuple[str, ...] = ("lstm", "leaky_rnn")
    graphs_of: tuple[str, ...] = (
        "rnn",
        "leaky_rnn",
        "gru",
        "lstm",
        "ntm",
        "min_gru",
        "s5",
        "mamba2",
        "transformer",
    )
    compared_steps: int = 5
    memory_of: tuple[str, ...] = ("lstm", "gru")
    precisions: tuple[str, ...] = ("bf16-mixed", "bf16-true")
    half_steps: int = 20
    speed_of: tuple[str, ...] = ("rnn", "leaky_rnn", "gru", "lstm")
    width: int = WIDTH
    seconds: int = 600

    def tasks(self, preset: str, size: Size) -> list[list[str]]:
        """Return the tasks of a preset, each as overrides."""
        return [[part.format(steps=size.steps) for part in task] for task in TASKS[self.models[preset]]]

    def model(self, preset: str, size: Size) -> list[str]:
        """Return the overrides that choose a preset."""
        options = SMALL.get(preset, ()) if size == self.small else ()
        return [f"model={preset}", f"model.hidden_size={size.width}", *options]

    def overrides(self, preset: str, size: Size) -> list[str]:
        """Return the overrides that choose a preset and the first of its tasks."""
        return [*self.tasks(preset, size)[0], *self.model(preset, size)]


def kinds() -> dict[str, str]:
    """Return every preset of conf/model, and the kind of task that it learns."""
    return {
        preset: next(kind for kind in TASKS if kind in model_accepts(preset))
        for preset in preset_names("model")
    }


def plan(device: str, quick: bool) -> Plan:
    """Return the plan.

    Args:
        device: its kind, cpu or cuda.
        quick: whether all sizes are tiny.
    """
    left_out = {}
    if device == "cpu":
        left_out["graphs"] = "a CPU has no CUDA graphs"
    elif torch.cuda.device_count() < 2:
        left_out["ddp"] = "it takes two devices, and there is one"
    small = Size(32, 16, 7)
    return Plan(
        device=device,
        left_out=left_out,
        models=kinds(),
        engines=("fused", "native", "scan", "loop") if device in FUSED_ON else ("native", "scan", "loop"),
        small=small,
        graphs=small if quick else Size(32, 100, 64),
        memory=Size(2, 0, 4) if quick else Size(32, 0, 64),
        lengths=(20, 80) if quick else (1000, 4000),
        checkpoint_steps=5 if quick else 50,
        speeds=(small,) if quick else (Size(32, 100, 64), Size(256, 100, 256)),
        rounds=2 if quick else 5,
        repeats=2 if quick else 10,
        tolerances={torch.float64: 1e-9, torch.float32: 1e-4},
    )
