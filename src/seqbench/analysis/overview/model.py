"""The facts of a model: its parts with their sizes, its parameters, its state."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from seqbench.models.model import Model
from seqbench.models.unfold import Cell
from seqbench.tasks.specs import counted


def facts(model: Model) -> dict[str, str]:
    """Return what is known of a model, in words, by what it is about."""
    size = model.state_size
    live, every = model.live_parameters(), sum(p.numel() for p in model.parameters())
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
        live = sum(p.numel() for p in own.values() if id(p) in trained)
        if live and isinstance(module, Cell | Model):
            live -= sum(int(mask.sum()) for mask in module.dead_entries().values())
        yield {
            "part": where or "model",
            "class": type(module).__name__,
            "sizes": ", ".join(f"{name} {_shape(p)}" for name, p in own.items()),
            "live": f"{live:,}",
        }


def _shape(parameter: nn.Parameter) -> str:
    return "×".join(map(str, parameter.shape))
