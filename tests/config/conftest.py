"""What the tests of trust share: payloads, which would leave a file in the working directory if they ran."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seqbench.config import trust
from seqbench.errors import ConfigError

#: What leaves the file `ran`: as a node, and as a module that is imported.
TOUCH = {"_target_": "subprocess.call", "args": ["touch", "ran"]}
MODULE = "import pathlib\npathlib.Path('ran').touch()\n"
TINY = ["task=latch", "task.length=5", "task.eval_size=8", "model=rnn", "model.hidden_size=3", "logger=none"]


def write(path: str, text: str) -> None:
    """Write a file of the working directory."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def refused(sentence: str, call: Callable[..., Any], *args: Any) -> None:
    """Assert that a call is refused in one sentence, which begins so."""
    with pytest.raises(ConfigError) as caught:
        call(*args)
    said = str(caught.value)
    assert said.startswith(sentence) and "\n" not in said, said


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Trust no package at first. At the end forget the modules of the test, and see that no payload ran."""
    monkeypatch.setattr(trust, "_allowed", set())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    assert not Path("ran").exists()
