"""Trust on the command line: what comes from a folder runs no code and commands no terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqbench.config.compose import compose
from tests.payloads import TINY, TOUCH, stored, write

pytestmark = pytest.mark.usefixtures("nothing_runs")
GLOBAL = "# @package _global_\n"
MINE = "from seqbench.tasks.synthetic.latch import Latch\nclass Mine(Latch): pass\n"


def test_the_command_refuses_it_before_hydra_builds(seqbench):
    write("cd/experiment/x.yaml", GLOBAL + json.dumps({"hydra": {"callbacks": {"x": TOUCH}}}))
    for args in (["--config-dir", "cd", "experiment=x"], ["-m", "--config-dir", "cd", "experiment=x"]):
        said = seqbench(*args, *TINY)
        assert said.code == 2
        assert said.err.startswith(f"seqbench: {Path.cwd()}/cd/experiment/x.yaml sets hydra.callbacks.x.")
    for option in ("--experimental-rerun=job.pickle", "--e=job.pickle", "--config-path=pkg://ran_by_import"):
        said = seqbench(option, *TINY)
        assert said.code == 2
        assert said.err == f"seqbench: {option} is not allowed: it could make Hydra run code.\n"


def test_a_job_of_a_sweep_is_refused_too(seqbench):
    write("presets/model/x.yaml", GLOBAL + json.dumps({"hydra": {"job_logging": {"x": TOUCH}}}))
    said = seqbench("-m", *TINY, "model=x,rnn")
    assert said.code == 2
    assert said.err.startswith(f"seqbench: {Path.cwd()}/presets/model/x.yaml sets hydra.job_logging.x._t")


def test_a_run_is_analysed_with_the_packages_that_the_command_allows(seqbench):
    write("mypackage.py", MINE)
    typed = ["task._target_=mypackage.Mine", "allowed_packages=[mypackage]", "batch_size=4"]
    cfg = compose([*TINY, *typed])
    folder = stored(cfg)
    said = seqbench("analyse", "gradient_flow", "--run", folder, "allowed_packages=[mypackage]")
    assert said.code == 0, said.err
    memory = ("analyse", "memory", "--run", folder)
    refused = seqbench(*memory)
    assert refused.code == 2
    assert refused.err.startswith("seqbench: task._target_=mypackage.Mine is outside the packages allowed")
    allowed = seqbench(*memory, "allowed_packages=[mypackage]")
    assert allowed.err == "seqbench: RNN has no memory or attention to look into.\n"
    broken = seqbench(*memory, "allowed_packages=[mypackage")
    assert broken.err.startswith(
        "seqbench: allowed_packages=[mypackage cannot be read; it should be allowed_"
    )
    more = seqbench(*memory, "task.length=3")
    assert more.err == "seqbench: --run takes its configuration from the run; leave task.length=3 out.\n"


def test_a_package_in_the_working_directory_trains(seqbench):
    write("mypackage.py", MINE)
    short = ["trainer.max_steps=1", "trainer.eval_every=1", "batch_size=4", "trainer.progress=false"]
    typed = ["task._target_=mypackage.Mine", "allowed_packages=[mypackage]"]
    said = seqbench("-m", *TINY, *short, *typed, "seed=0,1")
    assert said.code == 0, said.err
    assert len(list(Path("runs").glob("latch/*/seed-*/result.json"))) == 2


def test_what_is_quoted_commands_no_terminal(seqbench):
    write("presets/task/x.yaml", "# \x1b]0;owned\x07 A task.\n_target_: x\n")
    write("presets/task/\x1b[2J.yaml", "# \x9b2J\n_target_: x\n")
    said = seqbench("ls", "task")
    assert r"\x1b]0;owned\x07 A task" in said.out and r"\x1b[2J" in said.out and r"\x9b2J" in said.out
    quoting = [["task=\x1b[2J"], [*TINY, "task._target_=\x1b[2J.x"], ["\x1b[2J"], ["report", "\x1b[2J"]]
    for args in quoting:
        said = seqbench(*args)
        assert said.code == 2 and r"\x1b[2J" in said.err
        assert said.err.removesuffix("\n").isprintable(), said.err


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "..", "", "."])
def test_the_name_of_a_report_is_that_of_a_file(seqbench, name):
    sentence = f"seqbench: --name={name} must be the name of a file alone; --out names its folder.\n"
    for where in ("--out=out", "--figure"):
        said = seqbench("report", where, f"--name={name}")
        assert (said.code, said.err) == (2, sentence)
