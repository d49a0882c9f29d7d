"""Which processes share batches: those that the user asked for, whatever the environment says."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from lightning.fabric.utilities.rank_zero import _get_rank
from lightning.pytorch.utilities import rank_zero_only

from seqbench import processes
from seqbench.errors import ConfigError
from seqbench.processes import (
    ProcessError,
    check_others,
    end_others,
    exchanging,
    forget_what_is_no_number,
    is_first_process,
    loss,
    machines,
    sharing,
)

ELASTIC = {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "127.0.0.1"}
SECOND_OF_TWO = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*processes.RANKS, *processes.GROUP, processes.STARTED):
        monkeypatch.setenv(name, "")  # so that what is set or removed later is undone
        monkeypatch.delenv(name)


@pytest.fixture
def port() -> int:
    """Return a port on which somebody listens, as torchrun does while its processes run."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "1", "WORLD_SIZE": "1"},
        {"LOCAL_RANK": "1"},
        {"SLURM_PROCID": "1", "SLURM_NTASKS": "2"},
        {"NODE_RANK": "2", "LOCAL_RANK": "0"},
        {"RANK": "abc", "LOCAL_RANK": "", "WORLD_SIZE": "two", "MASTER_PORT": "-1"},
        ELASTIC | SECOND_OF_TWO | {"MASTER_PORT": "1"},
    ],
)
def test_one_device_is_one_process(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    set_all(monkeypatch, variables)
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    with sharing(1):
        assert is_first_process() and rank_zero_only.rank == 0 and machines(1) == 1
    assert rank_zero_only.rank == 1
    assert {name: os.environ[name] for name in variables} == variables


def test_several_are_those_that_lightning_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, SECOND_OF_TWO | {"MASTER_ADDR": "far-away", "MASTER_PORT": "port", "NODE_RANK": "1"})
    with sharing(2):  # none of the variables is of processes that anybody has started for this one
        assert is_first_process()
        assert not [name for name in processes.GROUP if name in os.environ]
        mine = os.environ[processes.STARTED]
        assert mine == f"{os.getpid()}:2"
    monkeypatch.setenv("LOCAL_RANK", "0")  # as Lightning sets it when it starts the others
    with sharing(2):
        assert is_first_process() and "LOCAL_RANK" in os.environ
    with (
        pytest.raises(ConfigError, match=r"trainer.devices=3 cannot follow .* started 2 processes"),
        sharing(3),
    ):
        pass
    # What such a process finds: it was started by its parent.
    set_all(monkeypatch, {"LOCAL_RANK": "1", processes.STARTED: f"{os.getppid()}:2"})
    with sharing(2):
        assert not is_first_process() and rank_zero_only.rank == 1
        with sharing(1):
            assert is_first_process() and rank_zero_only.rank == 0
        assert not is_first_process()
    # Another child of the same parent, which did not start it for this.
    set_all(monkeypatch, {"LOCAL_RANK": "0", processes.STARTED: f"{os.getppid()}:2"})
    with sharing(2):
        assert is_first_process() and os.environ[processes.STARTED] == mine


@pytest.mark.parametrize(
    ("variables", "world_size", "first"),
    [
        ({}, 2, False),
        ({"RANK": "0", "LOCAL_RANK": "0"}, 2, True),
        ({"WORLD_SIZE": "4"}, 2, True),  # another number than was asked for
        ({"MASTER_PORT": "1"}, 2, True),  # nobody listens: the variables are left over
        ({"RANK": "one"}, 2, True),
        ({"TORCHELASTIC_USE_AGENT_STORE": "False"}, 2, False),
    ],
)
def test_or_those_of_torchrun_if_it_has_started_as_many(
    monkeypatch: pytest.MonkeyPatch, port: int, variables: dict[str, str], world_size: int, first: bool
) -> None:
    set_all(monkeypatch, ELASTIC | SECOND_OF_TWO | {"MASTER_PORT": str(port)} | variables)
    with sharing(world_size):
        assert is_first_process() is first


def test_torchrun_starts_processes_on_several_machines(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    on_two = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    set_all(monkeypatch, ELASTIC | on_two | {"MASTER_PORT": str(port)})
    assert machines(4) == 2 and machines(2) == 1
    with sharing(4):
        assert not is_first_process() and rank_zero_only.rank == 3


# The others


class EndedError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes that this one has started."""

    def end(code: int) -> None:
        raise EndedError(code)

    started = [subprocess.Popen(["sleep", "100"]) for _ in range(2)]
    monkeypatch.setattr(processes, "_others", started)
    monkeypatch.setattr(processes.os, "_exit", end)
    yield started
    end_others()


def test_who_has_ended_is_named(others: list[subprocess.Popen[bytes]]) -> None:
    assert loss() is None
    others[1].terminate()
    others[1].wait()
    error = loss()
    assert isinstance(error, ProcessError) and error.exit_code == 1
    assert str(error).startswith(
        "process 3 of the 3 that share batches was killed by SIGTERM. The same command"
    )


def test_where_the_first_one_waits_for_one_that_has_ended_it_is_ended_too(
    others: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.0)
    others[0].kill()
    others[0].wait()
    processes._watch()  # it does not wait, and will find out by itself
    with exchanging(), pytest.raises(EndedError, match="1"):
        processes._watch()
    assert "process 2 of the 3 that share batches was killed by SIGKILL, as the" in capsys.readouterr().err
    assert all(process.returncode for process in others)


def test_no_other_run_begins_without_them(others: list[subprocess.Popen[bytes]]) -> None:
    check_others()
    with pytest.raises(ZeroDivisionError), sharing(1):
        raise ZeroDivisionError
    with pytest.raises(
        ProcessError, match="ended with the run before; the same command goes on with the seeds"
    ):
        check_others()


def test_the_others_end_with_the_first(
    others: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = threading.Event()
    left.set()
    processes._follow(-1, left)  # it has left the job
    with pytest.raises(EndedError, match="1"):
        monkeypatch.setattr(left, "wait", lambda seconds: False)
        processes._follow(-1, left)


@pytest.mark.parametrize("name", processes.RANKS)
@pytest.mark.parametrize("value", ["abc", "", "1.5"])
def test_lightning_can_be_imported_whatever_a_variable_holds(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError):
        _get_rank()
    forget_what_is_no_number()
    assert _get_rank() is None
    monkeypatch.setenv(name, "7")
    forget_what_is_no_number()
    assert os.environ[name] == "7"
