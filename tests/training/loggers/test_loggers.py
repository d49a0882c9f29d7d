"""What every logger gets, those of Lightning among them."""

from __future__ import annotations

import csv
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from lightning.pytorch.loggers import Logger
from matplotlib.figure import Figure

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs import media
from seqbench.runs.plan import plan
from seqbench.training import loggers
from seqbench.training.loggers import NoLogger
from seqbench.training.loggers.base import cut, run_label, sections
from tests.runs.test_media import HEADS, QUICK, SHORT


class Board(Logger):
    """A logger that can show figures and tables, as TensorBoard's: it keeps what it is given."""

    made: ClassVar[list[Board]] = []

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.shown: list[tuple[str, int]] = []
        self.rows: list[dict[str, float]] = []
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

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...

    def finalize(self, status: str) -> None:
        self.ended = status

    name = version = property(lambda self: "board")


def test_every_logger_gets_metrics_and_summary_and_pictures_if_it_can_show_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media, "FLOW_SECONDS", 0.0)
    monkeypatch.setattr(Board, "made", [])
    monkeypatch.setattr(Board, "__module__", "boards")
    monkeypatch.setitem(sys.modules, "boards", SimpleNamespace(Board=Board))
    two = ["logger=csv", "+logger.board._target_=boards.Board", "allowed_packages=[boards]"]
    (result,) = seqbench.train(seqbench.compose([*HEADS, *two]))
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
    from seqbench.training.learner import SequenceLearner

    step = SequenceLearner.training_step

    def stop_later(learner: SequenceLearner, batches: list[Any], index: int) -> Any:
        if learner.step >= 4:
            raise KeyboardInterrupt
        return step(learner, batches, index)

    args = [
        *QUICK,
        "logger=csv",
        "trainer.max_steps=8",
        "trainer.eval_every=2",
        "trainer.checkpoint_every=1",
    ]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SequenceLearner, "training_step", stop_later)
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
def test_mlflow_has_each_seed_of_a_stack() -> None:
    from mlflow.tracking import MlflowClient

    database = f"sqlite:///{Path('mlflow.db').absolute()}"
    given = ["n_seeds=2", "logger=mlflow", f"logger.mlflow.tracking_uri={database}"]
    results = seqbench.train(seqbench.compose([*SHORT, *given]))
    assert [result.status for result in results] == ["finished", "finished"], results[0].error
    client = MlflowClient(database)
    (experiment,) = (found for found in client.search_experiments() if found.name == "seqbench")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["lstm latch seed 0", "lstm latch seed 1"]
    for run in runs:
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "val/loss")]
        assert steps == [2, 4] and run.info.status == "FINISHED"
