"""The facts of a model: its parts with their sizes, its parameters, its state."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from seqbench.models.model import Model, dead_numbers, numbers_in
from seqbench.tasks.specs import counted


def facts(model: Model) -> dict[str, str]:
    """Return what is known of a model, in words, by what it is about."""
    size = model.state_size
    live, every = model.live_parameters(), sum(map(numbers_in, model.parameters()))
    told = {
        "parameters": f"{live:,} live" + (f" of {every:,}" if every != live else ""),
        "state": "" if size is None else f"{counted(size, 'number')} for one sequence",
        "reaches": "; ".join(model.time_scales()),
    }
    return {about: text for about, text in told.items() if text}


def parts(model: Model) -> Iterator[dict[str, str]]:
    """Yield each part of a model with parameters of its own: where it is, its class, their shapes, live ones.

    Parameters are live where training can change them and something depends on them, see
    `Model.live_parameters`.
    """
    trained = {id(p) for p in model.trained_part.parameters() if p.requires_grad}
    for where, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own:
            continue
        live = sum(numbers_in(p) for p in own.values() if id(p) in trained)
        live -= dead_numbers(module) if live else 0
        yield {
            "part": where or "model",
            "class": type(module).__name__,
            "sizes": ", ".join(f"{name} {_shape(p)}" for name, p in own.items()),
            "live": f"{live:,}",
        }


def _shape(parameter: nn.Parameter) -> str:
    return "×".join(map(str, parameter.shape))
