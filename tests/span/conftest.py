"""What the tests of spans share: runs that are not trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from seqbench.span import climb, cost
from tests.cli.conftest import seqbench
from tests.span.fake import Ends, Runner

__all__ = ["seqbench"]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Runner]:
    """Let runs end as a function says, none of them trained, and each step cost a thousand times the span."""

    def make(ends: Ends, key: str = "length") -> Runner:
        made = Runner(ends, key)
        monkeypatch.setattr(climb, "run", made)
        monkeypatch.setattr(climb, "known", lambda job: None)
        monkeypatch.setattr(climb, "answers", lambda jobs, folder, timed: [])
        monkeypatch.setattr(cost, "_counted", lambda config, engine: 1000 * config["task"][key])
        return made

    return make
