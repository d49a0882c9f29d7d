"""The four cells against what a user would pick instead."""

from __future__ import annotations

from .measure import Settings
from .rivals import compare
from .tables import Row, against

#: The largest ratios that will do, to the better of JAX's forms and to torch's module; of 1 seed and of 16.
MARKS: dict[str, dict[int, tuple[float, float | None]]] = {
    "leaky_rnn": {1: (0.75, None), 16: (0.5, None)},
    "rnn": {1: (0.75, None), 16: (0.5, None)},
    "gru": {1: (0.5, None), 16: (0.55, None)},
    "lstm": {1: (0.5, 0.85), 16: (0.55, 0.95)},
}


def headline(settings: Settings) -> list[Row]:
    """An optimisation step (forward, backward, clipping, Adam) of 1 seed and of 16 on one core, in ms a seed.

    Batch 32, 100 steps, 64 units, two inputs, the last output learnt. JAX compiles the whole step, of a seed
    (jit: 16 take turns) or of 16 under vmap; the ratio is to the better. torch is torch.nn's module, or for
    leaky units a Python loop; 16 take turns. JAX finds the same losses from the same weights.
    """
    rows: list[Row] = []
    for cell in settings.cells:
        for count in (1, settings.seeds):
            engine, ms = compare(cell, settings.point, count, settings)
            to_jax, to_torch = MARKS[cell].get(count, (None, None))
            row: Row = {"cell": cell, "seeds": count, "engine": engine, "seqbench": ms["ours"]}
            row |= {"JAX, jit": ms.get("jit"), "JAX, vmap": ms.get("vmap"), "torch": ms["torch"]}
            row |= against("JAX", ms["ours"], ms.get("JAX"), to_jax)
            rows.append(row | against("torch", ms["ours"], ms["torch"], to_torch))
    return rows
