"""Dispatch: the help, and what starting a command imports."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from seqbench.cli.dispatch import COMMANDS, HELP, main
from tests.runs.handmade import result, store


def test_every_command_has_a_module_and_a_line_of_help():
    for name, module in COMMANDS.items():
        assert callable(import_module(module).main) and f"seqbench {name}" in HELP


def test_the_entry_point_is_main():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["seqbench"].partition(":")
    assert getattr(import_module(module), name) is main


@pytest.mark.parametrize("command", ["--help", "ls", "runs"])
def test_what_only_looks_needs_no_torch(command: str) -> None:
    store(Path("runs"), result())
    code = f"""
import atexit, sys
from seqbench.cli import main
sys.argv = ["seqbench", {command!r}]
heavy = {{"torch", "lightning", "pandas", "hydra"}}
heavy |= {{"--help": {{"pydantic", "omegaconf"}}, "ls": {{"pydantic"}}, "runs": set()}}[{command!r}]
atexit.register(lambda: print(sorted(heavy & set(sys.modules))))
main()
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == "[]", said.stderr
