"""W&B, offline: what a reader of the run finds."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from lightning.pytorch.loggers import Logger
from matplotlib.figure import Figure

import seqbench
from seqbench.analysis.observations import observe
from seqbench.errors import ConfigError
from seqbench.runs.plan import plan
from seqbench.training import loggers
from seqbench.training.loggers import NoLogger, RunInfo, check_wandb

QUICK = ["task=latch", "task.length=6", "task.eval_size=20", "model.hidden_size=4", "batch_size=4"]
SHORT = [*QUICK, "trainer.max_steps=4", "trainer.eval_every=2"]


def inspect(folder: Path, *options: str) -> str:
    wandb = Path(sys.executable).with_name("wandb")
    said = subprocess.run(
        [wandb, "leet", "inspect", *options, "--json", folder], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr + said.stdout
    return said.stdout


def test_every_seed_is_a_run_of_its_own_with_its_figures() -> None:
    results = seqbench.train(seqbench.compose([*SHORT, "n_seeds=2", "logger.wandb.tags=[mine]"]))
    folders = sorted(Path("runs/wandb").glob("offline-run-*"))
    assert len(folders) == 2
    for folder, result in zip(sorted(folders, key=lambda f: f.name.split("-")[-2]), results, strict=True):
        summary = json.loads(inspect(folder, "--summary"))
        assert f'"test/6/accuracy": {result.test["6"]["accuracy"]}' in json.dumps(summary)
        everything = inspect(folder)
        assert f"latch/lstm-{result.hash}" in everything
        for word in ("latch", "lstm", "mine", "train"):
            assert f'"{word}"' in everything


def test_a_failed_run_ends_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    from seqbench.models.cells.lstm import LSTM

    codes = []
    finish = wandb.Run.finish

    def note(run: wandb.Run, exit_code: int | None = None) -> None:
        codes.append(exit_code)
        finish(run, exit_code)

    monkeypatch.setattr(wandb.Run, "finish", note)
    seqbench.train(seqbench.compose([*SHORT, "seed=1"]))
    monkeypatch.setattr(LSTM, "native", lambda *_: 1 / 0)
    (result,) = seqbench.train(seqbench.compose([*SHORT, "model.engine=native"]))
    assert result.status == "failed" and "ZeroDivisionError" in str(result.error)
    assert codes == [0, 1]


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
    """Return the pictures of each offline run."""
    folders = sorted(Path("runs/wandb").glob("offline-run-*"))
    return {folder.name: sorted(folder.glob("files/media/images/memory_*.png")) for folder in folders}


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
        everything = inspect(Path("runs/wandb") / name)
        assert f'"memory.filenames":["media/images/{last.name}"]' in everything


def test_it_is_the_first_validation_sequence_as_the_model_then_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqbench.runs import recorder

    seen, steps = [], []
    picture = recorder.picture

    def note(model: Any, task: Any, batch: Any) -> Any:
        seen.extend(observe(model, task, batch.rows(0, 1)))
        return picture(model, task, batch)

    monkeypatch.setattr(recorder, "picture", note)
    monkeypatch.setattr(
        recorder, "show_figure", lambda logger, name, figure, step: steps.append((name, step))
    )
    monkeypatch.setattr(recorder, "PICTURE_SECONDS", 0.0)
    seqbench.train(seqbench.compose(HEADS))
    assert steps == [("memory", 2), ("memory", 4)]
    task = seqbench.build_task(seqbench.compose(HEADS))
    first = task.validation().inputs[0]
    before, after = seen
    assert before.inputs.equal(first) and after.inputs.equal(first)
    assert not before.reading.equal(after.reading)


def test_pictures_change_no_number() -> None:
    (shown,) = seqbench.train(seqbench.compose(HEADS))
    (plain,) = seqbench.train(seqbench.compose([*HEADS, "logger=none", "runs_dir=others"]))
    assert shown.test == plain.test and shown.hash == plain.hash


def test_without_a_memory_or_with_no_dashboard_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqbench.runs import recorder

    results = seqbench.train(seqbench.compose(SHORT))
    monkeypatch.setattr(recorder, "picture", lambda *_: 1 / 0)
    results += seqbench.train(seqbench.compose([*HEADS, "logger=none"]))
    assert [result.status for result in results] == ["finished", "finished"]
    assert list(pictures().values()) == [[]]


class Board(Logger):
    """A logger that can show figures, as TensorBoard's: it keeps what it is given."""

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

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append(metrics)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None: ...

    def finalize(self, status: str) -> None:
        self.ended = status

    name = version = property(lambda self: "board")


def test_every_logger_gets_metrics_and_summary_and_pictures_if_it_can_show_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Board, "made", [])
    monkeypatch.setattr(Board, "__module__", "boards")
    monkeypatch.setitem(sys.modules, "boards", SimpleNamespace(Board=Board))
    two = ["logger=csv", "+logger.board._target_=boards.Board", "allowed_packages=[boards]"]
    (result,) = seqbench.train(seqbench.compose([*HEADS, *two]))
    assert result.status == "finished", result.error
    (board,) = Board.made
    assert board.shown == [("memory", 4)] or board.shown == [("memory", 2), ("memory", 4)]
    losses = [row["loss"] for row in board.rows if "loss" in row]
    assert len(losses) == 2 and result.validation["loss"] in losses
    assert board.rows[-1]["test/3/loss"] == result.test["3"]["loss"] and board.ended == "success"
    (path,) = Path("runs/csv").rglob("metrics.csv")
    header, *rows = path.read_text().splitlines()
    assert "test/3/loss" in header and len(rows) == 3


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
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train_loss"]]
    assert steps == [2, 4, 6, 8]


def test_the_default_dashboard_that_cannot_start_is_replaced_by_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loggers, "_given_up", set())
    monkeypatch.setenv("WANDB_MODE", "bogus")
    results = seqbench.train(seqbench.compose([*SHORT, "n_seeds=2", "trainer.seeds_together=false"]))
    assert [result.status for result in results] == ["finished", "finished"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "seqbench: no dashboard, for W&B cannot start: the environment variable WANDB_MODE=bogus is none of "
        "online, offline, disabled, shared, dryrun, run."
    )
    assert not Path("runs/wandb").exists()


@pytest.mark.parametrize("named", ["logger=wandb", "logger.wandb.tags=[mine]"])
def test_one_that_was_named_and_cannot_start_is_refused(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setattr(loggers, "_start_wandb", lambda *_: 1 / 0)
    with pytest.raises(ConfigError, match=r"^logger\.wandb: W&B cannot start: division by zero\.$"):
        seqbench.train(seqbench.compose([*SHORT, named]))
    assert not list(Path("runs").glob("*"))


@pytest.mark.parametrize(
    ("overrides", "environment", "sentence"),
    [
        (
            ["logger=wandb"],
            {"WANDB_MODE": "bogus"},
            "logger.wandb: the environment variable WANDB_MODE=bogus is",
        ),
        (
            ["logger=wandb"],
            {"HOME": "/proc/nowhere"},
            "logger.wandb: there is no home folder, where W&B keeps",
        ),
        (
            ["logger.wandb.project=a/b"],
            {},
            "logger.wandb.project=a/b must have 1 to 128 characters, none of / ",
        ),
        ([f"logger.wandb.project={'p' * 129}"], {}, "logger.wandb.project=ppppp"),
        (["logger.wandb.project="], {}, "logger.wandb.project= must have 1 to 128 characters,"),
        ([f"logger.wandb.tags=[a,{'t' * 65}]"], {}, "logger.wandb.tags=ttttt"),
        (
            ["logger=tensorboard"],
            {},
            "logger.tensorboard: Neither `tensorboard` nor `tensorboardX` is available.",
        ),
        (
            ["logger=none", "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor"],
            {},
            "The callback LearningRateMonitor writes to a logger, and there is none; give logger=csv.",
        ),
    ],
)
def test_what_a_logger_refuses_is_told_by_the_plan(
    monkeypatch: pytest.MonkeyPatch, overrides: list[str], environment: dict[str, str], sentence: str
) -> None:
    for package in ("_TENSORBOARD", "_TENSORBOARDX"):
        monkeypatch.setattr(f"lightning.fabric.loggers.tensorboard.{package}_AVAILABLE", False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        plan(seqbench.compose([*SHORT, *overrides]))
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_names_of_presets_that_are_too_long_for_wandb_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    given: dict[str, Any] = {}

    def note(**options: Any) -> None:
        given.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(wandb, "init", note)
    group, run = "t" * 100 + "/" + "m" * 100 + "-1234abcd", 0
    with pytest.raises(KeyboardInterrupt):
        loggers.wandb(RunInfo(group, run, "id", Path("runs"), tags=["t" * 65, "m" * 64]), tags=["mine"])
    assert len(given["group"]) == len(given["name"]) == 128
    assert given["group"].startswith("ttt") and given["group"].endswith("mmm-1234abcd")
    assert [len(tag) for tag in given["tags"]] == [64, 64, 4] and given["name"].endswith("-1234abcd seed 0")


def test_what_wandb_takes_is_not_refused() -> None:
    check_wandb("a b", "auto", ["t" * 64])
    assert NoLogger().name is None and not loggers.shows_figures(NoLogger())
