"""Every command of docs/clusters.md runs, as far as it can without a cluster, and every key is there."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from seqbench.config.presets import CONF_DIR
from tests.cli.conftest import seqbench
from tests.sweeps.fake_slurm import cluster
from tests.sweeps.test_launch import SMALL, Run

__all__ = ["cluster", "seqbench"]
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "clusters.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    line.partition(" #")[0].strip() for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()
]


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("seqbench ")])
def test_every_command_makes_a_plan(command: str, seqbench: Run):
    if "ray" in command and find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    said = seqbench("--dry-run", *shlex.split(command)[1:], *SMALL)
    assert said.code == 0 and " jobs, at most about " in said.out, said.err


@pytest.mark.usefixtures("cluster")
def test_the_preset_of_a_cluster_is_one(seqbench: Run):
    (text,) = (text for kind, text in BLOCKS if kind == "yaml")
    preset = Path("presets/hydra/launcher/mycluster.yaml")
    preset.parent.mkdir(parents=True)
    preset.write_text(text)
    said = seqbench("-m", "hydra/launcher=mycluster", "hydra.launcher.requeue=-1", "seed=0,1")
    assert said.err == "seqbench: hydra.launcher.requeue=-1 must be a whole number, at least 0.\n"


def test_what_is_installed_is_an_extra():
    extras = re.search(
        r"optional-dependencies\]\n(.*?)\n\[", (ROOT / "pyproject.toml").read_text(), re.DOTALL
    )
    assert extras is not None
    names = re.findall(r"\.\[(\w+)\]", PAGE)
    assert names and all(f"\n{name} = [" in f"\n{extras[1]}" for name in names)


def test_every_key_is_one_of_the_launchers():
    launchers = {name: OmegaConf.load(CONF_DIR / f"hydra/launcher/{name}.yaml") for name in ("slurm", "ray")}
    keys = {*launchers["slurm"], *launchers["ray"]}
    named = set(re.findall(r"hydra\.launcher\.(\w+)", PAGE))
    assert len(named) > 8 and named <= keys
    assert {*launchers["slurm"]} - {"_target_", "retry_failed", "dry_run"} <= {*re.findall(r"\w+", PAGE)}


def test_scripts_and_links_are_there():
    for script in re.findall(r"`(scripts/\w+)", PAGE):
        assert (ROOT / script).stat().st_mode & 0o111
