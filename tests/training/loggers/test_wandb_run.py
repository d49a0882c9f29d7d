"""W&B: what a run of it is told, and what a reader of an offline run finds."""

from __future__ import annotations

import json
import math
import re
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import seqbench
from seqbench.runs.plan import plan
from seqbench.runs.schedule import train
from seqbench.signals import Stopped
from seqbench.training.learner import SequenceLearner
from tests.runs.test_media import QUICK, SHORT
from tests.training.loggers.fake import FakeRun, fake_wandb
from tests.training.loggers.inspecting import inspect, offline_runs


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    return fake_wandb(monkeypatch)


def test_a_run_has_its_name_group_sections_and_figures(made: list[FakeRun]) -> None:
    cfg = seqbench.compose([*SHORT, "n_seeds=2", "logger.wandb.tags=[mine]"])
    results = train(cfg, label="lstm length=6")
    for run, result in zip(made, results, strict=True):
        options = run.options
        assert options["name"] == f"lstm length=6 seed {result.seed}"
        assert options["group"] == f"latch/lstm-{result.hash}" and options["job_type"] == "train"
        assert options["project"] == "seqbench" and options["mode"] == "offline"
        assert run.tags == ("latch", "lstm", "mine", "finished")
        assert options["config"]["label"] == f"lstm length=6 (latch/lstm-{result.hash})"
        assert options["config"]["seed"] == result.seed
        assert list(run.rows) == [2, 4], "W&B's step is the optimisation step"
        assert run.rows[4]["step"] == 4 and run.rows[4]["sequences"] == 16
        assert {"train/loss", "train/gradient_norm", "train/lr", "val/loss", "seconds"} <= {*run.rows[4]}
        assert run.rows[4]["val/accuracy"] <= 1 and "loss" not in run.rows[4]
        assert run.summary["outcome"] == "finished" and run.summary["solved"] == 0
        assert "steps_to_solve" not in run.summary
        assert run.summary["test/accuracy"] == run.summary["test/6/accuracy"] == result.test["6"]["accuracy"]
        assert run.summary["best/loss"] == result.validation["loss"]
        assert run.summary["baseline/6/loss"] == result.baseline_loss["6"]
        assert run.summary["parameters"] == result.parameters and run.exit_code == 0
        (artifact,) = run.artifacts
        assert artifact.type == "run" and artifact.name == f"latch.lstm-{result.hash}-seed-{result.seed}"
        assert set(artifact.manifest.entries) == {"result.json", "metrics.csv", "config.yaml"}


def test_every_chart_has_its_axis_and_its_best(made: list[FakeRun]) -> None:
    seqbench.train(seqbench.compose(SHORT))
    (run,) = made
    assert run.defined["*"] == {"step_metric": "step"} and run.defined["step"] == {"hidden": True}
    assert run.defined["val/accuracy"] == {"step_metric": "step", "summary": "max"}
    assert run.defined["val/loss"] == {"step_metric": "step", "summary": "min"}
    assert not any(name.startswith(("train/", "gradient_flow/")) for name in run.defined)


def test_solved_diverged_and_failed_runs_end_as_such(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqbench.models.cells.lstm import LSTM
    from seqbench.tasks.synthetic.latch import Latch

    with monkeypatch.context() as patch:
        patch.setattr(Latch, "solved", lambda *_: True)
        seqbench.train(seqbench.compose([*SHORT, "seed=1"]))
    with monkeypatch.context() as patch:
        means = [{"train_loss": math.nan, "gradient_norm": 1.0}]
        patch.setattr(SequenceLearner, "take_training_means", lambda _: means)
        seqbench.train(seqbench.compose([*SHORT, "seed=2"]))
    monkeypatch.setattr(LSTM, "native", lambda *_: 1 / 0)
    seqbench.train(seqbench.compose([*SHORT, "model.engine=native"]))
    solved, diverged, failed = made
    assert solved.summary["outcome"] == solved.tags[-1] == "solved" and solved.exit_code == 0
    assert solved.summary["solved"] == 1 and solved.summary["steps_to_solve"] == 2
    assert diverged.summary["outcome"] == diverged.tags[-1] == "diverged" and diverged.exit_code == 0
    assert failed.summary["outcome"] == failed.tags[-1] == "failed" and failed.exit_code == 1


def test_a_run_whose_table_is_refused_is_closed_all_the_same(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeRun, "log_artifact", lambda *_: 1 / 0)
    seqbench.train(seqbench.compose([*SHORT, "seed=6"]))
    (run,) = made
    assert run.exit_code == 0 and run.summary["outcome"] == run.tags[-1] == "finished"
    assert "WandbRun could not be closed: division by zero." in capsys.readouterr().err


def stop_at(step: int, end: BaseException) -> Any:
    """Return a training step that ends so, once it is at `step`."""
    through = SequenceLearner.training_step

    def train_on(learner: SequenceLearner, batches: list[Any], index: int) -> Any:
        if learner.step >= step:
            raise end
        return through(learner, batches, index)

    return train_on


LONGER = [*QUICK, "trainer.max_steps=8", "trainer.eval_every=2", "trainer.checkpoint_every=1"]
LONGER += ["trainer.stop_when_solved=false"]


def test_a_run_that_is_stopped_is_preempted_and_goes_on_as_one(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(SequenceLearner, "training_step", stop_at(4, Stopped(signal.SIGTERM)))
        seqbench.train(seqbench.compose(LONGER))
    (first,) = made
    assert first.preempting and first.exit_code == 143 and first.tags[-1] == "preempted"
    earlier = Path("runs/wandb") / f"offline-run-1-{first.id}"
    (earlier / "files/media/images").mkdir(parents=True)
    (earlier / "files/media/images/memory_2_0123abcd.png").write_bytes(png())
    seqbench.train(seqbench.compose(LONGER))
    second = made[1]
    assert second.id == first.id and list(second.rows) == [2, 4, 6, 8]
    assert {2: second.rows[2]["val/loss"], 4: second.rows[4]["val/loss"]} == {
        step: row["val/loss"] for step, row in first.rows.items()
    }
    assert "memory" in second.rows[2] and "memory" not in second.rows[4]
    assert not earlier.exists() and not second.preempting and second.tags[-1] == "finished"


@pytest.mark.slow
def test_a_run_that_is_stopped_before_its_first_checkpoint_goes_on_as_one(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, end in ((0, KeyboardInterrupt()), (1, Stopped(signal.SIGTERM)), (8, None)):
        with monkeypatch.context() as patch:
            if end is not None:
                patch.setattr(SequenceLearner, "training_step", stop_at(step, end))
            with pytest.raises(type(end)) if end is not None else nullcontext():
                seqbench.train(seqbench.compose([*LONGER, "logger=wandb"]))
    assert len(made) == 3 and len({run.id for run in made}) == 1
    assert not [*Path("runs").rglob("logger-id")]
    seqbench.train(seqbench.compose([*LONGER, "logger=wandb", "seed=1"]))
    assert made[3].id != made[0].id


@pytest.mark.parametrize("text", ["*", "../../x", "1234abcd-0-abcde*", "\xff"])
def test_an_id_that_is_none_is_not_used(made: list[FakeRun], text: str) -> None:
    """It becomes part of the names of folders that are removed."""
    cfg = seqbench.compose([*SHORT, "logger=wandb"])
    folder = plan(cfg).folder(0)
    folder.mkdir(parents=True)
    (folder / "logger-id").write_text(text, encoding="latin-1")
    seqbench.train(cfg)
    assert re.fullmatch(r"[0-9a-f]{8}-0-[0-9a-f]{6}", str(made[0].id))


def png() -> bytes:
    import io

    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(buffer)
    return buffer.getvalue()


def test_what_the_server_has_of_a_resumed_run_is_not_sent_again(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SequenceLearner, "training_step", stop_at(4, KeyboardInterrupt()))
        seqbench.train(seqbench.compose(LONGER))
    assert made[0].exit_code == 130
    monkeypatch.setattr(FakeRun, "starting_step", 5)
    earlier = Path("runs/wandb") / f"offline-run-1-{made[0].id}"
    (earlier / "files/media/images").mkdir(parents=True)
    (earlier / "files/media/images/memory_2_0123abcd.png").write_bytes(png())
    seqbench.train(seqbench.compose(LONGER))
    assert list(made[1].rows) == [6, 8]
    assert not any("memory" in row for row in made[1].rows.values())


def test_what_a_callback_logs_displaces_no_evaluation(made: list[FakeRun]) -> None:
    monitor = "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor"
    seqbench.train(seqbench.compose([*SHORT, "logger=wandb", monitor]))
    (run,) = made
    assert [row["step"] for row in run.rows.values() if "val/loss" in row] == [2, 4]


def test_w_and_b_reads_what_was_logged() -> None:
    results = seqbench.train(seqbench.compose([*SHORT, "n_seeds=2"]))
    runs = sorted(offline_runs(), key=lambda folder: folder.name.split("-")[-2])
    assert len(runs) == 2
    for folder, result in zip(runs, results, strict=True):
        summary = json.dumps(json.loads(inspect(folder, "--summary")))
        assert f'"test/6/accuracy": {result.test["6"]["accuracy"]}' in summary
        everything = inspect(folder)
        for word in (f"latch/lstm-{result.hash}", '"lstm"', '"train"', "gradient_flow", "val/accuracy"):
            assert word in everything


def test_the_test_of_a_run_that_diverged_is_in_no_leaderboard(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights are from before it did, and tables count no figure of it."""
    means = iter(
        [[{"train_loss": 1.0, "gradient_norm": 1.0}], [{"train_loss": math.nan, "gradient_norm": 1.0}]]
    )
    monkeypatch.setattr(SequenceLearner, "take_training_means", lambda _: next(means))
    (result,) = seqbench.train(seqbench.compose([*SHORT, "seed=4", "trainer.stop_when_solved=false"]))
    (run,) = made
    assert result.status == run.summary["outcome"] == "diverged" and result.test
    assert not [name for name in run.summary if name.startswith("test/")]
