"""Trust: which packages a configuration may use, and who says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import seqbench
from seqbench.config import trust
from seqbench.config.build import build_task
from seqbench.results.summaries import find
from seqbench.runs.store import read_result, write_result
from seqbench.runs.trained import load_run
from tests.payloads import MODULE, TINY, TOUCH, refused, stored, write

pytestmark = pytest.mark.usefixtures("nothing_runs")
MINE = """
import os
from os import system
from subprocess import Popen
from seqbench.tasks.synthetic.latch import Latch

class Mine(Latch):
    pass

class Theirs(Mine):
    __module__ = "elsewhere"

def make(**values) -> Latch:
    return Mine(**values)

def unsaid(**values):
    os.system("touch ran")

def says_otherwise(**values) -> int:
    os.system("touch ran")

def lies(**values) -> Latch:
    return 3
"""


def own(name: str, *overrides: str):
    """Return a configuration whose task is one of a module in the working directory."""
    write("mypackage.py", MINE)
    return seqbench.compose([*TINY, f"task._target_=mypackage.{name}", *overrides])


def test_packages_are_allowed_on_the_command_line():
    refused("task._target_=mypackage.Mine is outside the packages allowed", build_task, own("Mine"))
    for packages in ("[mypackage]", "mypackage", "[wave,mypackage]"):
        task = build_task(own("Mine", f"allowed_packages={packages}"))
        assert type(task).__module__ == "mypackage" and task.length == 5
    assert type(build_task(own("make", "allowed_packages=[mypackage]"))).__name__ == "Mine"
    refused("task._target_=mypackage.Mine is outside the packages allowed", build_task, own("Mine"))


def test_of_the_packages_that_a_run_names_those_count_that_the_user_named():
    seqbench.compose(["allowed_packages=[mypackage,wave]"])
    assert trust.still_allowed(["mypackage", "other"]) == ["mypackage"]
    assert trust.still_allowed("wave") == ["wave"]
    assert trust.still_allowed(None) == trust.still_allowed([{"a": 1}, 3]) == []


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("[a/b]", "allowed_packages=['a/b'] must hold names of packages, and 'a/b' is none."),
        ("[${task._target_}]", "allowed_packages=['${task._target_}'] must hold names of packages"),
        ("3", "allowed_packages=[3] must hold names of packages, and 3 is none."),
        ("[torch]", "allowed_packages=['torch']: torch is built in, and allowing it adds nothing."),
    ],
)
def test_packages_are_named_plainly(value, sentence):
    refused(sentence, seqbench.compose, [f"allowed_packages={value}"])


def test_packages_are_allowed_in_the_users_file(monkeypatch):
    cfg = own("Mine")
    write("config/seqbench/trusted", "# mine\n\nwave\n  mypackage  # and this\n")
    assert type(build_task(cfg)).__name__ == "Mine"
    write("config/seqbench/trusted", "wave\nmy/package\n")
    refused(f"{Path.cwd()}/config/seqbench/trusted, line 2: 'my/package' is no name", build_task, cfg)
    Path("config/seqbench/trusted").write_bytes(b"\xff")
    refused(f"{Path.cwd()}/config/seqbench/trusted, the list of trusted packages, cannot", build_task, cfg)
    # By the convention of these folders a relative one is none.
    monkeypatch.setenv("XDG_CONFIG_HOME", "config")
    monkeypatch.setenv("HOME", str(Path.cwd() / "home"))
    write("home/.config/seqbench/trusted", "mypackage\n")
    assert trust.packages_of_file() == ["mypackage"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("system", "task._target_=mypackage.system makes no Task"),
        ("Popen", "task._target_=mypackage.Popen makes no Task"),
        ("os.system", "task._target_=mypackage.os.system cannot be found"),
        ("unsaid", "task._target_=mypackage.unsaid makes no Task: it is neither"),
        ("says_otherwise", "task._target_=mypackage.says_otherwise makes no Task"),
        ("Theirs", "task._target_=mypackage.Theirs is outside the packages allowed (seqbench, torch,"),
        ("lies", "task makes a int, which is no Task."),
    ],
)
def test_an_allowed_package_gives_the_kind_that_is_asked_for(name, sentence):
    refused(sentence, build_task, own(name, "allowed_packages=[mypackage]"))


def test_only_what_is_named_is_imported_and_the_working_directory_comes_last():
    write("wave.py", MODULE)  # Python has a module of this name
    write("helper.py", MODULE)
    write("careless.py", "import helper\n")
    write("broken.py", "1 / 0\n")
    write("mistyped.py", "def f(:\n")
    write("reads.py", "import json\njson.loads('')\n")
    write("asks.py", "import torch\nx = torch.nn.Decay\n")
    write("ends.py", "import sys\nsys.exit(3)\n")
    write("mine/__init__.py", "")
    write("mine/__main__.py", MODULE)
    write("mine/test_it.py", MODULE)
    path, finders = list(sys.path), list(sys.meta_path)
    cfg = seqbench.compose([*TINY, "allowed_packages=[wave,careless,broken,mistyped,reads,asks,ends,mine]"])
    for target, sentence in [
        ("wave.Wave_read", "makes no Task"),
        ("careless.Task", "cannot be imported: ModuleNotFoundError in careless.py, line 1: No module"),
        ("broken.Task", "cannot be imported: ZeroDivisionError in broken.py, line 1: division by zero."),
        ("mistyped.Task", "cannot be imported: invalid syntax (mistyped.py, line 1)."),
        ("reads.Task", "cannot be imported: JSONDecodeError in reads.py, line 2: Expecting value"),
        ("asks.Decay", "cannot be imported: AttributeError in asks.py, line 2: module 'torch.nn' has no"),
        ("ends.Task", "cannot be imported: SystemExit in ends.py, line 2: 3."),
        ("wave.Nothing", "cannot be found: module 'wave' has no attribute 'Nothing'."),
        ("helper.Task", "is outside the packages allowed"),
        ("mine.__main__.Task", "is in a module for tests or to be run, which is not imported."),
        ("mine.test_it.Task", "is in a module for tests or to be run"),
    ]:
        cfg.task._target_ = target
        refused(f"task._target_={target} {sentence}", build_task, cfg)
    assert (sys.path, sys.meta_path) == (path, finders)


def test_a_configuration_that_was_not_typed_allows_nothing():
    cfg = own("Mine")
    cfg.allowed_packages = ["mypackage"]
    refused("allowed_packages=['mypackage'] was not typed, so that mypackage is not", build_task, cfg)


def test_the_folder_of_a_run_allows_nothing():
    cfg = own("Mine", "allowed_packages=[mypackage]", "batch_size=4")
    folder = stored(cfg)
    refused("task._target_=mypackage.Mine is outside the packages allowed", load_run, folder)
    run = load_run(folder, ["mypackage"])
    assert type(run.task).__name__ == "Mine" and run.cfg.allowed_packages == ["mypackage"]
    result = read_result(folder)
    for target in ("subprocess.call", "torch.utils.collect_env.run"):
        result.config["model"]["cell"] = TOUCH | {"_target_": target, "_partial_": True}
        write_result(folder, result)
        refused(f"model.cell._target_={target} ", load_run, folder, ["mypackage"])


def test_what_is_named_as_a_statistic_is_one():
    write("mystatistics.py", "from seqbench.results.summaries.note import Note\nclass Mine(Note): pass\n")
    assert find("mystatistics.Mine").title == "Mine"
    for name in ("os.system", "subprocess.Popen", "torch.hub.load", "antigravity", "mystatistics.Note2"):
        refused(f"--summary={name} ", find, name)
