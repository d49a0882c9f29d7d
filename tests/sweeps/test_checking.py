"""The check of the jobs of a sweep."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from seqbench.sweeps import checking
from seqbench.sweeps.job import Job, Refused

JOBS = [Job(number, [], {}, {}, f"job {number}") for number in range(3)]


def dies(connection: Any, *_: Any) -> None:
    """End with a job unread, so that the launcher's connection is reset."""
    connection.poll(None)
    os._exit(3)


def test_a_check_that_dies_refuses_its_job_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking.work, "check", dies)
    found = {job.number: answer for job, answer in checking.answers(JOBS, tmp_path, timed=False)}
    assert sorted(found) == [0, 1, 2]
    for answer in found.values():
        assert isinstance(answer, Refused) and answer.sentence == "its check was ended by exit code 3"
