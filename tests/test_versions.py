"""Versions: from a checkout that is not installed as from a package."""

from __future__ import annotations

import platform
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import torch

import seqbench
from seqbench import versions
from seqbench.cli import main
from seqbench.models.unfold.fused import compiler

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def test_they_are_those_of_the_packages() -> None:
    found = versions.versions()
    assert found["torch"] == torch.__version__ and found["python"] == platform.python_version()
    assert found["seqbench"] == version("seqbench") and set(found) == {
        "seqbench",
        "torch",
        "lightning",
        "python",
    }


def test_a_checkout_need_not_be_installed(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def installed(name: str) -> str:
        if name == "seqbench":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(versions, "version", installed)
    assert versions.own_version() == PROJECT["version"]
    small = [
        "task=latch",
        "task.length=6",
        "task.eval_size=4",
        "model.hidden_size=2",
        "batch_size=2",
        "logger=none",
    ]
    (result,) = seqbench.train(seqbench.compose([*small, "trainer.max_steps=1"]))
    assert result.status == "finished" and result.versions["seqbench"] == PROJECT["version"]
    assert result.versions["compiler"] == (compiler() or ("", ""))[1], "which decides rounding"
    monkeypatch.setattr("sys.argv", ["seqbench", "--version"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 0 and capsys.readouterr().out == f"seqbench {PROJECT['version']}\n"
