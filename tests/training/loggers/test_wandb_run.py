"""W&B: what a run of it is told, and what a reader of an offline run finds."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.plan import plan
from seqbench.runs.schedule import train
from seqbench.signals import Stopped
from seqbench.training.learner import SequenceLearner
from seqbench.training.loggers import RunInfo, wandb_run
from seqbench.training.loggers.wandb_run import check_wandb, wandb
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
        assert options["config"]["label"] == "lstm length=6" and options["config"]["seed"] == result.seed
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
    seqbench.train(seqbench.compose(LONGER))
    assert list(made[1].rows) == [6, 8]


def test_what_a_callback_logs_displaces_no_evaluation(made: list[FakeRun]) -> None:
    monitor = "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor"
    seqbench.train(seqbench.compose([*SHORT, "logger=wandb", monitor]))
    (run,) = made
    assert [row["step"] for row in run.rows.values() if "val/loss" in row] == [2, 4]


VARIABLES = {
    "WANDB_PROJECT": "theirs",
    "WANDB_ENTITY": "team",
    "WANDB_DIR": "elsewhere",
    "WANDB_NAME": "one",
    "WANDB_RUN_GROUP": "all",
    "WANDB_JOB_TYPE": "debug",
}


def test_the_environment_counts_where_the_configuration_says_nothing(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (VARIABLES | {"WANDB_TAGS": "a,b", "WANDB_CONSOLE": "wrap"}).items():
        monkeypatch.setenv(name, value)
    info = RunInfo("latch/lstm-1234abcd", 3, "id", Path("runs"), label="lstm")
    wandb(info)
    wandb(info, project="mine", entity="me", tags=["c"])
    default, given = (run.options for run in made)
    keys = ("project", "entity", "dir", "name", "group", "job_type")
    assert [default[key] for key in keys] == list(VARIABLES.values())
    assert default["tags"] == ["a", "b"] and given["tags"] == ["c", "a", "b"]
    assert default["settings"].init_timeout == 30 and default["settings"].console != "off"
    assert (given["project"], given["entity"]) == ("mine", "me")


def test_an_id_that_is_in_use_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb as client

    made = fake_wandb(monkeypatch)
    errors = [
        client.errors.UsageError("run ID id is in use"),
        client.errors.UsageError("run ID id is in use"),
    ]
    init, waits = client.init, []

    def busy(**options: Any) -> FakeRun:
        if errors:
            raise errors.pop()
        return init(**options)

    monkeypatch.setattr(client, "init", busy)
    monkeypatch.setattr(wandb_run.time, "sleep", waits.append)
    wandb(RunInfo("group", 0, "id", Path("runs")))
    assert len(made) == 1 and waits == [0.1, 0.5]


def test_a_disabled_dashboard_is_none(made: list[FakeRun], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    seqbench.train(seqbench.compose(SHORT))
    wandb(RunInfo("group", 0, "id", Path("runs")), mode="disabled")
    assert not made


def test_the_agent_of_a_sweep_says_which_run_it_is(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    with pytest.raises(ConfigError, match=r"gives each process one run, and n_seeds=2 asks for more"):
        plan(seqbench.compose([*SHORT, "logger=wandb", "n_seeds=2"]))
    seqbench.train(seqbench.compose([*SHORT, "logger=wandb"]))
    assert not {"id", "project", "entity"} & {*made[0].options}


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


def test_the_default_dashboard_that_cannot_start_is_replaced_by_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wandb_run, "_given_up", set())
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
    monkeypatch.setattr(wandb_run, "_start", lambda *_: 1 / 0)
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
        ([f"logger.wandb.tags=[a,{'t' * 65}]"], {}, "logger.wandb.tags=ttttt"),
        (["logger.wandb.mode=online"], {}, "logger.wandb.mode=online asks for W&B's server, and nobody is"),
        (
            ["logger=wandb"],
            {"WANDB_MODE": "online"},
            "logger.wandb.mode=auto: the environment variable WANDB_MODE=online asks",
        ),
    ],
)
def test_what_w_and_b_refuses_is_told_by_the_plan(
    monkeypatch: pytest.MonkeyPatch, overrides: list[str], environment: dict[str, str], sentence: str
) -> None:
    monkeypatch.setattr(wandb_run, "_logged_in", lambda: False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        plan(seqbench.compose([*SHORT, *overrides]))
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_names_of_presets_that_are_too_long_for_wandb_are_cut(made: list[FakeRun]) -> None:
    group = "t" * 100 + "/" + "m" * 100 + "-1234abcd"
    wandb(RunInfo(group, 0, "id", Path("runs"), tags=["t" * 65, "m" * 64]), tags=["mine"])
    given = made[0].options
    assert len(given["group"]) == len(given["name"]) == 128
    assert given["group"].startswith("ttt") and given["group"].endswith("mmm-1234abcd")
    assert [len(tag) for tag in given["tags"]] == [64, 64, 4] and given["name"].endswith("-1234abcd seed 0")


def test_what_wandb_takes_is_not_refused() -> None:
    check_wandb("a b", None, "auto", ["t" * 64])
