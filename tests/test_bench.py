"""The benchmark: its baselines compute what seqbench does. No times are asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from benchmark.cells import CASES  # noqa: E402
from benchmark.measure import Point, Settings, exponent, in_turn  # noqa: E402
from benchmark.models import Case, PlainLoop  # noqa: E402
from benchmark.step import Training, VectorizedTraining  # noqa: E402
from benchmark.tables import against, markdown  # noqa: E402

POINT = Point(batch=3, length=12, width=8)
#: One for each branch of the loop.
SHAPES = ("gru bidirectional=true", "lstm num_layers=2", "leaky_rnn, lengths", "output_rnn")


@pytest.mark.parametrize("case", [c for c in CASES if str(c).startswith(SHAPES)], ids=str)
def test_the_plain_loop_gives_a_models_outputs(case: Case) -> None:
    (model,), (data,) = case.build(POINT), case.data(POINT)
    expected, found = (m(**data.arguments)[0] for m in (model, PlainLoop(model)))
    torch.testing.assert_close(found, expected)


def test_seeds_have_the_same_losses_in_turn_and_vectorized() -> None:
    case, count = Case("leaky_rnn"), 3
    models, data = case.build(POINT, "loop", count=count), case.data(POINT, count=count)
    twins = [PlainLoop(model) for model in case.build(POINT, "loop", count=count)]
    in_turn, together = Training(models, data), VectorizedTraining(twins, data)
    alone = Training(case.build(POINT, "loop"), data[:1])
    for _ in range(3):
        losses = torch.stack(in_turn.step())
        torch.testing.assert_close(torch.stack(together.step()), losses)
        torch.testing.assert_close(alone.step()[0], losses[0])
    assert len(set(losses.tolist())) == count


def test_a_model_in_blocks_is_trained_too() -> None:
    case = Case("mamba2")
    (before, after) = (Training(case.build(POINT), case.data(POINT)).step() for _ in range(2))
    assert before == after and before[0] > 0


def test_ratios_medians_and_exponents() -> None:
    assert against("JAX", 1.0, 2.0, 0.5) == {"to JAX": 0.5, "mark, JAX": 0.5, "reached, JAX": "yes"}
    assert against("JAX", 2.0, 2.0, 0.5)["reached, JAX"] == "no"
    assert against("JAX", 2.0, None, 0.5) == {"to JAX": None, "mark, JAX": 0.5}
    values = iter([5.0, 1.0, 3.0])
    assert in_turn({"one": lambda: next(values)}, 3) == {"one": 3.0}
    assert exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2)
    assert markdown([{"a": 1}, {"b": 2}]).splitlines()[-1].split() == ["|", "—", "|", "2", "|"]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn", "leaky_rnn", "gru", "lstm"])
@pytest.mark.parametrize("count", [1, 3])
def test_jax_finds_the_same_losses(cell: str, count: int) -> None:
    pytest.importorskip("jax")
    from benchmark.rivals import check_agreement, rivals

    case = Case(cell)
    models, data = case.build(POINT, count=count), case.data(POINT, count=count)
    steps = rivals(cell, POINT, models, data, Settings(quick=True))  # which compares them
    assert set(steps) == {"torch", "jit"} | ({"vmap"} if count > 1 else set())
    data[0].targets.add_(0.1)
    with pytest.raises(ValueError, match="JAX"):
        check_agreement(cell, models, data, steps)


@pytest.mark.slow
def test_every_part_runs(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts" / "bench", "--quick", "--out", tmp_path / "speed"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page, found = (tmp_path / "speed.md").read_text(), json.loads((tmp_path / "speed.json").read_text())
    assert found["versions"]["torch"] == torch.__version__ and found["command"].startswith("scripts/bench")
    parts = {name for name, rows in found.items() if isinstance(rows, list)}
    assert {"headline", "cells", "sizes", "cores", "overhead", "growth", "compiling", "startup"} <= parts
    assert all(f"## {part}\n" in page and found[part] for part in parts)


def test_what_makes_no_sense_is_refused() -> None:
    from benchmark.command import parsed

    for arguments in (["nonsense"], ["--tune", "cells"], ["--rounds", "0"], ["--against", "HEAD"]):
        with pytest.raises(SystemExit):
            parsed("", arguments)
