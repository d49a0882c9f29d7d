"""What every logger gets, those of Lightning among them."""

from __future__ import annotations

import csv
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import lightning as L
import pytest
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import Logger
from matplotlib.figure import Figure

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs import media
from seqbench.runs.plan import plan
from seqbench.signals import Stopped, handled
from seqbench.training import loggers
from seqbench.training.learner import SequenceLearner
from seqbench.training.loggers import NoLogger
from seqbench.training.loggers.base import cut, run_label, sections
from tests.runs.test_media import HEADS, SHORT
from tests.training.loggers.fake import FakeRun, fake_wandb
from tests.training.loggers.test_wandb_run import LONGER, stop_at


class Board(Logger):
    """A logger that can show figures and tables, as TensorBoard's: it keeps what it is given."""

    made: ClassVar[list[Board]] = []

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.shown: list[tuple[str, int]] = []
        self.rows: list[dict[str, float]] = []
        self.steps: list[int | None] = []
        self.ended = ""
        self.made.append(self)

    @property
    def experiment(self) -> Board:
        return self

    def add_figure(self, name: str, figure: Figure, global_step: int, close: bool) -> None:
        self.shown.append((name, global_step))

    def add_text(self, name: str, text: str, global_step: int) -> None:
        self.shown.append((name, global_step))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append(metrics)
        self.steps.append(step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...

    def finalize(self, status: str) -> None:
        self.ended = status

    name = version = property(lambda self: "board")


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that log to a `Board`, whose module is there as a user's would be."""
    monkeypatch.setattr(Board, "made", [])
    monkeypatch.setattr(Board, "__module__", "boards")
    monkeypatch.setitem(sys.modules, "boards", SimpleNamespace(Board=Board))
    return ["+logger.board._target_=boards.Board", "allowed_packages=[boards]"]


def test_every_logger_gets_metrics_and_summary_and_pictures_if_it_can_show_them(
    boards: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "FLOW_SECONDS", 0.0)
    (result,) = seqbench.train(seqbench.compose([*HEADS, "logger=csv", *boards]))
    assert result.status == "finished", result.error
    (board,) = Board.made
    at_the_end = {("memory", 4), ("gradient_flow", 4), ("samples", 4)}
    assert at_the_end <= {*board.shown} <= at_the_end | {("memory", 2)}
    losses = [row["val/loss"] for row in board.rows if "val/loss" in row]
    assert len(losses) == 2 and result.validation["loss"] in losses
    assert board.rows[-1]["test/3/loss"] == result.test["3"]["loss"] and board.ended == "success"
    assert board.rows[-1]["baseline/3/loss"] == result.baseline_loss["3"] and board.rows[-1]["solved"] == 0
    (path,) = Path("runs/csv").rglob("metrics.csv")
    header, *rows = path.read_text().splitlines()
    assert {"train/loss", "val/loss", "test/3/loss"} <= {*header.split(",")} and len(rows) == 3


def test_a_csv_logger_keeps_the_evaluations_from_before_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    args = [*LONGER, "logger=csv"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SequenceLearner, "training_step", stop_at(4, KeyboardInterrupt()))
        seqbench.train(seqbench.compose(args))
    (result,) = seqbench.train(seqbench.compose(args))
    assert result.steps == 8
    (path,) = Path("runs/csv").rglob("metrics.csv")
    with path.open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert steps == [2, 4, 6, 8]


def test_what_lightnings_loggers_and_callbacks_refuse_is_told_by_the_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in ("_TENSORBOARD", "_TENSORBOARDX"):
        monkeypatch.setattr(f"lightning.fabric.loggers.tensorboard.{package}_AVAILABLE", False)
    with pytest.raises(
        ConfigError, match=r"^logger.tensorboard: Neither `tensorboard` nor `tensorboardX` is"
    ):
        plan(seqbench.compose([*SHORT, "logger=tensorboard"]))
    monitor = "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor"
    with pytest.raises(
        ConfigError, match=r"^The callback LearningRateMonitor writes to a logger, and there is"
    ):
        plan(seqbench.compose([*SHORT, "logger=none", monitor]))


def test_a_logger_that_cannot_be_closed_hides_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board()
    board.finalize = lambda status: 1 / 0  # type: ignore[method-assign, assignment]
    loggers.finish([board], loggers.Ending("solved"))
    assert capsys.readouterr().err == "seqbench: Board could not be closed: division by zero.\n"


def test_names_have_sections() -> None:
    row = {"step": 4, "train_loss": 1.0, "gradient_norm": 2.0, "lr": 0.1, "accuracy": 0.5, "seconds": 3.0}
    assert sections(row) == {
        **{"train/loss": 1.0, "train/gradient_norm": 2.0, "train/lr": 0.1},
        **{"val/accuracy": 0.5, "seconds": 3.0},
    }


@pytest.mark.parametrize(
    ("varied", "label"),
    [
        ("lstm length=100", "lstm length=100"),
        ("length=100", "lstm length=100"),
        ("lstm seed=3", "lstm"),
        ("seed=3", "lstm adding"),
        ("", "lstm adding"),
    ],
)
def test_a_run_is_called_by_what_was_varied(varied: str, label: str) -> None:
    assert run_label(varied, "lstm", "adding") == label


def test_the_middle_of_a_long_text_is_left_out() -> None:
    assert cut("abc", 3) == "abc" and cut("a" * 50 + "b" * 50, 10) == "aaaaaaaa…b"
    assert NoLogger().name is None and not loggers.shows_figures(NoLogger())


class EachStep(LearningRateMonitor):
    """Logs at each step, not at every fiftieth."""

    def setup(self, trainer: L.Trainer, *_: Any, **__: Any) -> None:
        trainer.log_every_n_steps = 1


def test_what_a_callback_logs_after_a_stop_is_at_the_steps_of_the_run(
    boards: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = seqbench.compose([*LONGER, "logger=none", *boards])
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(SequenceLearner, "training_step", stop_at(4, Stopped(signal.SIGTERM)))
        seqbench.train(cfg, callbacks=[EachStep()])
    seqbench.train(cfg, callbacks=[EachStep()])
    before, after = (
        {step for step, row in zip(board.steps, board.rows, strict=True) if "lr-Adam" in row}
        for board in Board.made
    )
    assert before == {0, 1, 2, 3, 4} and after == {4, 5, 6, 7}


def test_a_logger_that_fails_in_a_run_does_not_end_it(
    boards: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(board: Board, *_: Any, **__: Any) -> None:
        raise ConnectionError("the server is gone")

    monkeypatch.setattr(Board, "log_metrics", gone)
    monkeypatch.setattr(Board, "finalize", gone)
    (result,) = seqbench.train(seqbench.compose([*LONGER, "logger=csv", *boards]))
    assert result.status == "finished" and result.steps == 8, result.error
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"seqbench: Board logs no more of latch/lstm-{result.hash}/seed-0: the server is gone."
    (path,) = Path("runs/csv").rglob("metrics.csv")
    assert len(path.read_text().splitlines()) == 6  # the other goes on


def test_a_logger_that_was_named_and_whose_server_does_not_answer_is_refused_before_training(
    boards: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: Board) -> None:
        raise ConnectionError("no server answers")

    made = fake_wandb(monkeypatch)
    monkeypatch.setattr(Board, "experiment", property(absent))
    monkeypatch.setattr(SequenceLearner, "training_step", lambda *_: 1 / 0)
    with pytest.raises(ConfigError, match=r"^logger\.board: .*no server answers"):
        seqbench.train(seqbench.compose([*SHORT, "logger=wandb", *boards]))
    assert made[0].exit_code == 2 and made[0].tags[-1] == "failed"
    assert not [*Path("runs").rglob("seed-0")]


def test_a_signal_while_loggers_are_closed_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_wandb(monkeypatch)
    close = FakeRun.finish

    def signalled(run: FakeRun, exit_code: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        close(run, exit_code)

    monkeypatch.setattr(FakeRun, "finish", signalled)
    with handled(), pytest.raises(Stopped):
        seqbench.train(seqbench.compose([*SHORT, "n_seeds=2", "logger=wandb"]))
    assert [run.exit_code for run in made] == [0, 0]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tensorboard") is None, reason="the package tensorboard is not installed")
def test_tensorboard_has_each_seed_of_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(media, "FLOW_SECONDS", 0.0)
    results = seqbench.train(seqbench.compose([*SHORT, "n_seeds=2", "logger=tensorboard"]))
    for result in results:
        assert result.status == "finished", result.error
        (folder,) = Path("runs/tensorboard").glob(f"latch/*/seed-{result.seed}")
        events = EventAccumulator(str(folder))
        events.Reload()
        assert [event.step for event in events.Scalars("val/loss")] == [2, 4]
        assert "gradient_flow" in events.Tags()["images"]
        assert "samples/text_summary" in events.Tags()["tensors"]
        (value,) = events.Scalars("test/6/loss")
        assert value.value == pytest.approx(result.test["6"]["loss"])


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlflow") is None, reason="the package mlflow is not installed")
def test_mlflow_has_each_seed_of_a_stack_and_a_resumed_run_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    database = f"sqlite:///{Path('mlflow.db').absolute()}"
    given = ["n_seeds=2", "logger=mlflow", f"logger.mlflow.tracking_uri={database}"]
    results = seqbench.train(seqbench.compose([*SHORT, *given]))
    assert [result.status for result in results] == ["finished", "finished"], results[0].error
    stop = [*LONGER, "seed=5", *given[1:]]
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(SequenceLearner, "training_step", stop_at(4, Stopped(signal.SIGTERM)))
        seqbench.train(seqbench.compose(stop))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    seqbench.train(seqbench.compose([*LONGER, "seed=5", "logger=mlflow"]))
    client = MlflowClient(database)
    (experiment,) = (found for found in client.search_experiments() if found.name == "seqbench")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {f"lstm latch seed {seed}" for seed in (0, 1, 5)}
    resumed, stopped = (run for run in runs if run.info.run_name.endswith("seed 5"))  # the newest first
    assert stopped.info.status == "FAILED" and resumed.info.status == "FINISHED"
    steps = [point.step for point in client.get_metric_history(resumed.info.run_id, "val/loss")]
    assert steps == [2, 4, 6, 8]
    for run in (run for run in runs if not run.info.run_name.endswith("seed 5")):
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "val/loss")]
        assert steps == [2, 4] and run.info.status == "FINISHED"
