"""Every other cell against its own loop."""

from __future__ import annotations

from .measure import Settings, steps_in_turn
from .models import Case, PlainLoop
from .step import Training, VectorizedTraining
from .tables import Row, against

CASES = [
    *[Case(model) for model in ("irnn", "mgu", "mut1", "skip_rnn", "clockwork_rnn", "min_gru")],
    *[Case(model) for model in ("deep_transition_rnn", "peephole_lstm", "coupled_lstm", "gru_as_printed")],
    Case("deep_transition_rnn", ("model.cell.skip=true",)),
    Case("gru", ("model.cell.form=before",)),
    Case(
        "leaky_rnn",
        ("model.cell.alpha=[0.5,0.99]", "model.cell.learn_alpha=true"),
        name="leaky_rnn, α learnt",
    ),
    Case("lstm", ("model.cell.forget_gate=false",)),
    Case("lstm", ("model.cell.candidate=sigmoid", "model.cell.output=identity")),
    Case("gru", ("model.bidirectional=true",)),
    Case("lstm", ("model.num_layers=2",)),
    Case("leaky_rnn", ragged=True, name="leaky_rnn, lengths from 20 to 100"),
    Case("gru", ragged=True, name="gru, lengths from 20 to 100"),
    Case("output_rnn", task="narma10", name="output_rnn, fed its own outputs"),
]
#: The largest ratios to the loop that will do.
MARK, MARK_OF_MANY = 0.25, 0.6


def cells(settings: Settings) -> list[Row]:
    """An optimisation step of other cells, in ms a seed: the engine against a Python loop over `step`.

    Batch 32, 100 steps, 64 units. The loop takes 16 seeds at once, under torch.func.vmap; the engine takes
    them in turn. It is the first of fused, native, scan and loop that the cell has; a mark is set for fused.
    """
    rows: list[Row] = []
    point = settings.point
    for case in CASES:
        engine = case.engines(point)[0]
        row: Row = {"model": str(case), "engine": engine}
        for count in (1, settings.seeds):
            data = case.data(point, settings.device, count)
            ours, theirs = (case.build(point, engine, settings.device, count) for _ in range(2))
            loop = (VectorizedTraining if count > 1 else Training)([PlainLoop(m) for m in theirs], data)
            ms = steps_in_turn({"ours": Training(ours, data).step, "loop": loop.step}, settings)
            some = f"{count} seed{'s' * (count > 1)}"
            mark = (MARK if count == 1 else MARK_OF_MANY) if engine == "fused" else None
            row |= {f"{some}, loop": ms["loop"] / count, f"{some}, engine": ms["ours"] / count}
            row |= against(f"loop, {some}", ms["ours"], ms["loop"], mark)
        rows.append(row)
    return rows
