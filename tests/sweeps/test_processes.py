"""What a process of a sweep has when it starts."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from seqbench.errors import StoreError
from seqbench.sweeps import processes

START = """
import sys
from pathlib import Path
from seqbench.sweeps.processes import preload, start
from tests.sweeps.test_processes import modules
if sys.argv[2:]:
    preload(*sys.argv[2:])
process, connection = start(modules, Path(sys.argv[1]), {})
print(*connection.recv())
process.join()
"""


KILLED = """
import os, signal, sys
from multiprocessing import forkserver
from pathlib import Path
from seqbench.sweeps.processes import start
from tests.sweeps.test_processes import modules
for attempt in range(3):
    process, connection = start(modules, Path(sys.argv[1]), {})
    connection.recv()
    process.join()
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
print("ended")
"""


def modules(connection: Connection, log: Path, environment: Mapping[str, str]) -> None:
    """What a process is told to do: send the names of what it finds imported."""
    connection.send(list(sys.modules))


@pytest.mark.parametrize("more", [[], ["seqbench.gone_fishing", "wave"]])
def test_a_process_has_torch_whoever_starts_it_first(tmp_path: Path, more: list[str]) -> None:
    command = [sys.executable, "-c", START, str(tmp_path / "log"), *more]
    root = str(Path(__file__).parents[2])
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": root})
    found = run.stdout.split()
    assert run.returncode == 0, run.stderr
    assert {"torch", "lightning.pytorch", "seqbench.runs.schedule"} <= set(found)
    assert ("wave" in found) == ("wave" in more)  # a module that is not there is left out


def test_a_server_that_was_killed_is_started_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "log")]
    root = str(Path(__file__).parents[2])
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": root})
    assert run.returncode == 0 and run.stdout == "ended\n", run.stderr


@pytest.mark.parametrize("times", [1, processes.ATTEMPTS - 1, processes.ATTEMPTS])
def test_a_start_is_tried_again_after_a_while_and_then_said_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """The server that was killed may refuse for as long as nobody knows that it was."""
    left, pauses = [ConnectionRefusedError(111, "Connection refused")] * times, list[float]()

    def begin(process: object) -> None:
        if left:
            raise left.pop()

    monkeypatch.setattr(multiprocessing.get_context("forkserver").Process, "start", begin)
    monkeypatch.setattr(processes.time, "sleep", pauses.append)
    if times < processes.ATTEMPTS:
        _, connection = processes.start(modules, tmp_path / "log", {})
        connection.close()
    else:
        with pytest.raises(StoreError, match=r"^no process can be started: .*Connection refused\. If memory"):
            processes.start(modules, tmp_path / "log", {})
    assert pauses == [0.1, 0.2, 0.4, 0.8][:times]
