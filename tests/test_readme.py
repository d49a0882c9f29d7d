"""Every command and every piece of code in the README runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqbench.cli import main
from seqbench.data.images import write_images
from seqbench.data.source import mirror_file
from tests.runs.handmade import result, store

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


COMMANDS = [line.partition(" #")[0].strip() for block in blocks("bash") for line in block.splitlines()]
#: What makes a training command short. What comes last on the command line counts.
SMALL = ["trainer.max_steps=2", "trainer.eval_every=1", "n_seeds=1"]
#: The command that logs to a dashboard here as for a reader; opening one takes most of a short run.
WITH_DASHBOARD = "seqbench task=adding model=lstm"
#: The commands that take more than a few seconds.
SLOW = "slurm|seqbench search|span task|long_dependency"
#: What this machine need not have.
INSTEAD = {
    "trainer=ddp": "trainer.devices=1",
    "trainer=ddp_cpu": "trainer.accelerator=cpu",  # it would start the tests once more
    "hydra/launcher=slurm": "hydra/launcher=local",
}


@pytest.fixture
def surroundings(tmp_path: Path, capsys: pytest.CaptureFixture[str], dictionary: None) -> None:
    """Put what the README speaks of into the empty folder: data, a preset, results."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 120), ("test", 20)):
        path = mirror_file("mnist", split, "data")
        path.parent.mkdir(parents=True, exist_ok=True)
        images = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        write_images(images, labels, [str(i) for i in range(10)], path, lambda _: None)
    preset = Path("presets/model/mine.yaml")
    preset.parent.mkdir(parents=True)
    (text,) = blocks("yaml")
    preset.write_text(text)
    Path("results").mkdir()
    for name in ("search", "quickstart"):
        shutil.copy(ROOT / f"results/{name}.jsonl", "results")
    Path("entrants.txt").write_text("model=gru\nlabel=tuned model=gru optim.lr=0.02\n")
    Path("wanted.txt").write_text("model=rnn,gru optim.lr=0.01\n")


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    words = [INSTEAD.get(word, word) for word in shlex.split(command)]
    if words[1] == "search":
        words += [
            *SMALL[:2],
            "search.n_seeds=1",
            "search.n_trials=2",
            "search.bracket=2",
            "task.eval_size=20",
        ]
    elif words[1] == "span":
        words += [*SMALL[:2], "n_seeds=3", "max=10", "task.eval_size=20", "logger=none"]
    elif words[1] not in ("ls", "report", "compare", "plot", "runs", "data", "analyse", "--cfg"):
        words += SMALL
        if "logger" not in command and command != WITH_DASHBOARD:
            words.append("logger=none")
        if "long_dependency" in command:
            words.append("task.length=20")
        if "g2p" not in command:  # of which all is evaluated
            words.append("task.validation_size=20" if "mnist" in command else "task.eval_size=20")
    monkeypatch.setattr(sys, "argv", words)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=pytest.mark.slow if re.search(SLOW, command) else ())
        for command in COMMANDS
        if command.startswith("seqbench ")
    ],
)
@pytest.mark.usefixtures("surroundings")
def test_every_command_runs(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if command.startswith(tuple(f"seqbench {word}" for word in ("report", "compare", "plot", "runs"))):
        store(Path("runs"), result())
        store(Path("runs"), result(model="gru"))
    if "import" in command:
        run(command.replace("import", "export"), monkeypatch)
    assert run(command, monkeypatch) == 0


def test_every_other_command_is_a_script_that_is_there() -> None:
    others = [c for c in COMMANDS if not c.startswith("seqbench ")]
    assert "source .venv/bin/activate" in others
    for command in others:
        if command.startswith("scripts/"):
            assert (ROOT / command.split()[0]).stat().st_mode & 0o111
        else:
            assert command == "source .venv/bin/activate"


def test_mirrored_data_are_not_fetched_again(surroundings: None) -> None:
    said = subprocess.run([ROOT / "scripts/mirror_data", "mnist"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("code", blocks("python"))
def test_every_piece_of_code_runs(code: str) -> None:
    exec(code, {})


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_row_of_the_catalogues_is_a_preset() -> None:
    from seqbench.config.presets import preset_names

    presets = {*preset_names("model"), *preset_names("task")}
    rows = re.findall(r"^\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \|", README, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    keys = {"seed", "n_seeds", "batch_size", "runs_dir", "data_dir"}
    assert len(named & presets) > 50 and named <= presets | keys
