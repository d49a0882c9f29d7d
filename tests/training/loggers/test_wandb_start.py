"""The start of W&B's runs: its variables, what it refuses, where it cannot start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.plan import plan
from seqbench.training.loggers import RunInfo, wandb, wandb_run, wandb_start
from seqbench.training.loggers.wandb_start import check_wandb
from tests.runs.test_media import SHORT
from tests.training.loggers.fake import FakeRun, fake_wandb


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    return fake_wandb(monkeypatch)


VARIABLES = {
    "WANDB_PROJECT": "theirs",
    "WANDB_ENTITY": "team",
    "WANDB_DIR": "/tmp",
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


def test_a_folder_is_the_same_for_the_service_of_wandb(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DIR", "not/yet/there")
    wandb(RunInfo("group", 0, "id", Path("runs")))
    monkeypatch.delenv("WANDB_DIR")
    wandb(RunInfo("group", 0, "id", Path("runs")))
    folders = [Path(run.options["dir"]) for run in made]
    assert folders == [Path("not/yet/there").resolve(), Path("runs").resolve()]


def test_who_is_logged_in_is_told_where_the_runs_are_and_once(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb_start, "login_problem", lambda: "")
    for seed in (0, 1):
        wandb(RunInfo("group", seed, "id", Path("runs")))
    assert [run.options["mode"] for run in made] == ["online", "online"]
    assert capsys.readouterr().err == "seqbench: W&B shows runs at http://example.org/me/seqbench\n"


def test_who_is_logged_in_is_told_that_runs_are_offline_for_the_server_does_not_answer(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wandb as client

    def refuse(prompt: bool) -> bool:
        raise client.errors.AuthenticationError("Failed to authenticate with http://127.0.0.1:9: busy.")

    monkeypatch.delenv("WANDB_MODE")
    for login, said in (
        (refuse, "seqbench: runs are logged offline, for W&B cannot be asked: Failed to authenticate"),
        (lambda prompt: False, ""),
    ):
        wandb_start.login_problem.cache_clear()
        monkeypatch.setattr(client, "login", login)
        wandb(RunInfo("group", 0, "id", Path("runs")))
        assert made[-1].options["mode"] == "offline"
        err = capsys.readouterr().err
        assert err.startswith(said) and err.count("\n") == bool(said)
    wandb_start.login_problem.cache_clear()


def test_wandb_serves_this_process_by_a_service_of_its_own(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that was killed would leave its run open in the service of a parent, with its id in use."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid, kept in ((os.getppid(), False), (os.getpid(), True), (ended.pid, True)):
        monkeypatch.setenv("WANDB_SERVICE", f"3-{pid}-unix-/nowhere/socket")
        wandb(RunInfo("group", 0, "id", Path("runs")))
        assert ("WANDB_SERVICE" in os.environ) == kept


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
    monkeypatch.setattr(wandb_start.time, "sleep", waits.append)
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
    monkeypatch.setattr(wandb_run, "start", lambda **_: 1 / 0)
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
            ["logger=wandb"],
            {"WANDB_PROJECT": "a/b"},
            "logger.wandb: the environment variable WANDB_PROJECT=a/b must have 1 to 128",
        ),
        (
            ["logger=wandb"],
            {"WANDB_TAGS": f"a,{'t' * 65}"},
            "logger.wandb: the environment variable WANDB_TAGS=ttttt",
        ),
        (
            ["logger=wandb"],
            {"WANDB_DIR": "/proc/nowhere"},
            "logger.wandb: the environment variable WANDB_DIR=/proc/nowhere names no folder that",
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
    monkeypatch.setattr(wandb_start, "login_problem", lambda: wandb_start.NOBODY)
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
