"""A command lists the runs that it asked for, where the program that started it wants to know."""

from pathlib import Path

import pytest

from seqbench.cli.train import JobLog
from seqbench.runs.asked import FILE, told


def test_what_a_sweep_asked_for_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, file = JobLog(tmp_path), tmp_path / "asked"
    monkeypatch.delenv(FILE, raising=False)
    log.add_run(tmp_path / "not listed")
    assert told(file) == set()
    monkeypatch.setenv(FILE, str(file))
    monkeypatch.chdir(tmp_path)
    log.add_run(Path("runs/a"))
    log.add_run(tmp_path / "runs/b")
    assert told(file) == {tmp_path / "runs/a", tmp_path / "runs/b"}
