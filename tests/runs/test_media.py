"""Pictures of runs: what a memory does, the gradient flow, samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import seqbench
from seqbench.analysis.observations import observe
from seqbench.runs import media
from tests.training.loggers.fake import fake_wandb
from tests.training.loggers.inspecting import inspect, offline_runs

QUICK = ["task=latch", "task.length=6", "task.eval_size=20", "model.hidden_size=4", "batch_size=4"]
SHORT = [*QUICK, "trainer.max_steps=4", "trainer.eval_every=2"]
HEADS = [
    *("task=ntm_copy", "task.length=3", "task.bits=2", "task.eval_lengths=[3]", "task.eval_size=8"),
    *("model=ntm", "model.hidden_size=4", "model.cell.memory_size=6", "model.cell.word_size=3"),
    *("batch_size=4", "trainer.max_steps=4", "trainer.eval_every=2"),
]
LOOKS_UP = [
    *("task=stories", "task.types=[one_fact]", "task.length=3", "task.eval_lengths=[3]", "task.eval_size=8"),
    *("model=memn2n", "model.hidden_size=4", "batch_size=4", "trainer.max_steps=4", "trainer.eval_every=2"),
]


def pictures() -> dict[str, list[Path]]:
    """Return the pictures of memory of each offline run."""
    return {run.name: sorted(run.glob("files/media/images/memory_*.png")) for run in offline_runs()}


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [HEADS, LOOKS_UP])
def test_what_a_memory_does_is_seen_once_a_minute_and_at_the_end(overrides: list[str]) -> None:
    together = [*overrides, "trainer.eval_every=1", "n_seeds=2"]
    results = seqbench.train(seqbench.compose(together))
    assert [result.status for result in results] == ["finished", "finished"], results[0].error
    found = pictures()
    assert len(found) == 2 and all(len(its) == 2 for its in found.values())  # of four evaluations
    for name, (first, last) in found.items():
        assert first.read_bytes() != last.read_bytes()
        assert last.read_bytes().startswith(b"\x89PNG")
        assert f"media/images/{last.name}" in inspect(Path("runs/wandb") / name)


def test_it_is_the_first_validation_sequence_as_the_model_then_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, steps = [], []
    picture = media.picture

    def note(model: Any, task: Any, batch: Any) -> Any:
        seen.extend(observe(model, task, batch.rows(0, 1)))
        return picture(model, task, batch)

    fake_wandb(monkeypatch)
    monkeypatch.setattr(media, "picture", note)
    monkeypatch.setattr(media, "show_figure", lambda logger, name, figure, step: steps.append((name, step)))
    monkeypatch.setattr(media, "PICTURE_SECONDS", 0.0)
    seqbench.train(seqbench.compose(HEADS))
    assert [shown for shown in steps if shown[0] == "memory"] == [("memory", 2), ("memory", 4)]
    task = seqbench.build_task(seqbench.compose(HEADS))
    first = task.validation().inputs[0]
    before, after = seen
    assert before.inputs.equal(first) and after.inputs.equal(first)
    assert not before.reading.equal(after.reading)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [HEADS, [*SHORT, "trainer.stop_when_solved=false"]])
def test_pictures_change_no_number(overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_wandb(monkeypatch)
    (shown,) = seqbench.train(seqbench.compose(overrides))
    (plain,) = seqbench.train(seqbench.compose([*overrides, "logger=none", "runs_dir=others"]))
    assert shown.test == plain.test and shown.hash == plain.hash
    assert shown.validation == plain.validation
    assert "gradient_flow/log10_per_step" in made[0].rows[4] and "gradient_flow" not in made[0].rows[4]


def test_at_the_end_there_are_gradient_flow_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_wandb(monkeypatch)
    monkeypatch.setattr(media, "FLOW_SECONDS", 0.0)
    tables: list[pd.DataFrame] = []
    monkeypatch.setattr(media, "show_table", lambda logger, name, table, step: tables.append(table))
    seqbench.train(seqbench.compose([*SHORT, "n_seeds=2"]))
    for run in made:
        first, last = run.rows[2], run.rows[4]
        assert "gradient_flow" not in first and "gradient_flow" in last
        assert -3 < last["gradient_flow/log10_per_step"] < 1
    table = tables[0]
    assert list(table.columns) == ["input", "target", "output"] and len(table) == media.SAMPLE_ROWS
    task = seqbench.build_task(seqbench.compose(SHORT))
    names = task.token_names()[1]
    wanted = [names[target] for target in task.validation().targets[: len(table)].tolist()]
    assert list(table["target"]) == wanted and set(table["output"]) <= set(names)


def test_a_picture_that_cannot_be_drawn_ends_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_wandb(monkeypatch)
    monkeypatch.setattr(media, "gradient_norms", lambda *_: 1 / 0)
    (result,) = seqbench.train(seqbench.compose([*SHORT, "seed=9"]))
    assert result.status == "finished"
    assert f"latch/lstm-{result.hash}: no picture of its gradient flow: division by zero." in (
        capsys.readouterr().err
    )


def test_pictures_are_in_no_runs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_wandb(monkeypatch)
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def slow(*_: Any) -> None:
        clock[0] += 1000.0

    monkeypatch.setattr(media, "_samples", slow)
    (result,) = seqbench.train(seqbench.compose([*SHORT, "seed=8"]))
    assert result.wall_time_s == 0.0


def test_without_a_memory_or_with_no_dashboard_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_wandb(monkeypatch)
    results = seqbench.train(seqbench.compose(SHORT))
    monkeypatch.setattr(media, "picture", lambda *_: 1 / 0)
    results += seqbench.train(seqbench.compose([*HEADS, "logger=none"]))
    assert [result.status for result in results] == ["finished", "finished"]
    assert not any("memory" in row for row in made[0].rows.values())


def test_the_flow_of_long_sequences_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_wandb(monkeypatch)
    monkeypatch.setattr(media, "FLOW_STEPS", 5)
    monkeypatch.setattr(media, "gradient_norms", lambda *_: torch.zeros(()).backward())
    (result,) = seqbench.train(seqbench.compose([*SHORT, "seed=7"]))
    assert result.status == "finished"
