"""The wheel: it holds the presets, and runs elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_preset(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    presets = {f"seqbench/{path.relative_to(ROOT)}" for path in (ROOT / "conf").glob("**/*.yaml")}
    assert presets and presets <= names
    assert "seqbench/published.yaml" in names  # which reports read
    assert {f"seqbench/results/html/page.{kind}" for kind in ("html", "css", "js")} <= names
    assert "hydra_plugins/seqbench/searchpath.py" in names
    assert not any(name.startswith("hydra_plugins/__init__") for name in names)


def test_the_description_has_no_link_into_the_repository(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        head, _, text = file.read(name).decode().partition("\n\n")
    assert "Description-Content-Type: text/markdown" in head
    assert "seqbench measures which sequence model" in text and "## Five examples" in text
    assert "- Runs: a run and its keys" in text, "the name of a page stays"
    assert "](" not in text and "Four models of 10,000 parameters" not in text


@pytest.mark.slow
def test_the_wheel_runs_elsewhere_and_finds_own_presets(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel]
    subprocess.run(install, check=True)
    home = tmp_path / "elsewhere"
    (home / "presets/model").mkdir(parents=True)
    (home / "presets/model/mine.yaml").write_text("defaults: [gru, _self_]\nhidden_size: 7\n")
    environment = os.environ | {"PYTHONPATH": str(site), "WANDB_MODE": "offline"}

    def run(*args: str) -> str:
        command = [sys.executable, "-m", "seqbench", *args]
        said = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        return said.stdout

    where = [sys.executable, "-c", "from seqbench.config.presets import CONF_DIR; print(CONF_DIR)"]
    found = subprocess.run(where, cwd=home, env=environment, capture_output=True, text=True).stdout
    assert found.strip() == str(site / "seqbench/conf")
    assert "adding" in run("ls", "tasks")
    assert "finished" in run("task=adding", "model=gru", "trainer.max_steps=20", "task.eval_size=50")
    run("task=adding", "model=mine", "trainer.max_steps=2", "task.eval_size=50", "logger=none")
    assert list(home.glob("runs/adding/mine-*/seed-0/result.json"))


def test_what_makes_the_environment_is_never_given_a_scripts_own_arguments():
    """`source file` without arguments hands on those of the script, which would be taken for extras."""
    lines = [
        line.partition("#")[0].strip()
        for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]
        if path.is_file()
        for line in path.read_text().splitlines()
        if line.startswith("source ") and "_venv.sh" in line
    ]
    assert len(lines) >= 4
    for line in lines:
        assert line.endswith(('""', '"[dev]"')), line
