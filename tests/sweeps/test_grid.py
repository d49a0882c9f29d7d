"""Which jobs a sweep has: every combination, keys that go together, a file of sweeps."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser

from hydra_plugins.seqbench.loader import PresetLoader
from seqbench.errors import ConfigError
from seqbench.sweeps import launch
from seqbench.sweeps.grid import combinations, read_lines
from tests.cli.conftest import Said

Run = Callable[..., Said]


def made(*typed: str, zipped=()) -> list[str]:
    overrides = OverridesParser.create().parse_overrides(list(typed))
    return [" ".join(job) for job in combinations(overrides, zipped)]


def test_every_combination_is_a_job_the_last_key_fastest():
    wanted = [" ".join(job) for job in itertools.product(["a=1", "a=2"], ["b=x"], ["c=3", "c=4"])]
    assert made("a=1,2", "b=x", "c=range(3,5)") == wanted
    assert made("a=1,2", "a=3") == ["a=3"], "the last counts"
    assert made() == [""]


def test_keys_that_go_together_have_their_values_side_by_side():
    typed = ("a=1,2", "b=x,y", "c=3,4", "d=5,6")
    wanted = ["a=1 c=3 b=x d=5", "a=1 c=3 b=x d=6", "a=1 c=3 b=y d=5", "a=1 c=3 b=y d=6"]
    assert made(*typed, zipped=[["a", "c"]])[:4] == wanted
    assert len(made(*typed, zipped=[["a", "c"]])) == 8
    assert len(made(*typed, zipped=[["a", "c"], ["b", "d"]])) == 4
    assert made(*typed, zipped=[["d", "b", "a", "c"]]) == ["d=5 b=x a=1 c=3", "d=6 b=y a=2 c=4"]


@pytest.mark.parametrize(
    ("zipped", "sentence"),
    [
        ([["a", "b"]], "hydra.sweeper.zip names b, which has not several values here."),
        ([["a", "e"]], "hydra.sweeper.zip names e, which has not several values here."),
        ([["c", "a"]], "Values that go together are as many for each key: c has 3, a has 2."),
        ([["a"]], "hydra.sweeper.zip takes lists of keys"),
        (["a", "c"], "hydra.sweeper.zip takes lists of keys"),
        ([["a", "a"]], "hydra.sweeper.zip takes lists of keys"),
    ],
)
def test_keys_that_cannot_go_together_are_named(zipped, sentence):
    with pytest.raises(ConfigError) as refused:
        made("a=1,2", "b=5", "c=1,2,3", zipped=zipped)
    assert str(refused.value).startswith(sentence)


def test_a_sweep_without_values_is_refused():
    with pytest.raises(ConfigError, match=r"^a=interval\(0,1\) names no values; `seqbench search`"):
        made("a=interval(0,1)")


def test_a_file_has_a_sweep_a_line():
    Path("jobs").write_text("\ufeffmodel=rnn,gru  # two\n\n# none\n'optim.lr=0.1' \"task.x='a b'\"\r\n")
    lines = read_lines("jobs")
    assert [line.arguments for line in lines] == [["model=rnn,gru"], ["optim.lr=0.1", "task.x='a b'"]]
    assert [line.place for line in lines] == ["jobs, line 1", "jobs, line 4"]
    Path("jobs").write_text("# nothing\n")
    with pytest.raises(ConfigError, match=r"^hydra\.sweeper\.jobs=jobs names no run\.$"):
        read_lines("jobs")
    Path("jobs").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read: it is not text in UTF-8"):
        read_lines("jobs")
    with pytest.raises(ConfigError, match=r"^hydra\.sweeper\.jobs=none cannot be read: No such file"):
        read_lines("none")


@pytest.fixture
def launched(monkeypatch) -> list[str]:
    """Return what the jobs are that the launcher is given; it runs none."""
    found: list[str] = []

    def note(jobs, *_):
        found.extend(" ".join(job.typed) for job in jobs)
        return []

    monkeypatch.setattr(launch, "launch", note)
    return found


@pytest.mark.slow
def test_options_of_the_command_line(seqbench: Run, launched: list[str]):
    together = "task.length,trainer.max_steps"
    typed = ["model=rnn,gru", "task.length=5,6", "trainer.max_steps=7,8"]
    assert seqbench("--zip", together, "task=latch", *typed).code == 0
    assert launched == [
        f"task=latch model={model} task.length={length} trainer.max_steps={steps}"
        for model in ("rnn", "gru")
        for length, steps in ((5, 7), (6, 8))
    ]
    launched.clear()
    Path("it's").write_text("model=rnn task.length=5,6\nmodel=gru\nmodel=rnn task.length=5 # again\n")
    assert seqbench("-m", "--jobs=it's", "task=latch", "seed=0,1").code == 0
    per_seed = ["model=rnn task.length=5", "model=rnn task.length=6"]
    wanted = [f"task=latch seed={seed} {job}" for seed in (0, 1) for job in per_seed]
    assert launched == [*wanted, "task=latch seed=0 model=gru", "task=latch seed=1 model=gru"]
    assert not Path("runs").exists()


def test_each_job_is_composed_once_and_a_choice_of_presets_once(seqbench: Run, launched, monkeypatch):
    composed = Mock(wraps=config_loader_impl.create_defaults_list)
    counted = Mock(side_effect=ConfigLoaderImpl.load_sweep_config)
    monkeypatch.setattr(config_loader_impl, "create_defaults_list", composed)
    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", lambda *args: counted(*args))
    monkeypatch.setattr(PresetLoader, "_composed", {})
    assert seqbench("-m", "task=latch", "task.length=5,6,7").code == 0
    assert (len(launched), counted.call_count) == (3, 3)
    assert composed.call_count == 2  # with task=latch, and without: what is typed of a sweep is its jobs'


def test_a_preset_may_say_what_goes_together_and_what_is_typed_counts_instead(seqbench: Run, launched):
    Path("presets/experiment").mkdir(parents=True)
    preset = Path("presets/experiment/pairs.yaml")
    preset.write_text(
        "# @package _global_\ndefaults:\n  - override /task: latch\nhydra:\n  sweeper:\n    params:\n"
        "      task.length: 5,6\n      trainer.max_steps: 7,8\n      model: rnn,gru\n"
        "    zip: [[task.length, trainer.max_steps]]\n"
    )
    assert seqbench("-m", "experiment=pairs", "model=lstm").code == 0
    assert [job.split() for job in launched] == [
        ["task.length=5", "trainer.max_steps=7", "experiment=pairs", "model=lstm"],
        ["task.length=6", "trainer.max_steps=8", "experiment=pairs", "model=lstm"],
    ]
    said = seqbench("-m", "experiment=pairs", "task.length=9")
    assert said.code == 2 and "names task.length, which has not several values here" in said.err


def test_null_of_a_preset_is_null(seqbench: Run, launched):
    Path("presets/experiment").mkdir(parents=True)
    params = "hydra:\n  sweeper:\n    params: {model: 'rnn,gru', optim.clip_norm: null}\n"
    Path("presets/experiment/unclipped.yaml").write_text(f"# @package _global_\n{params}")
    assert seqbench("-m", "experiment=unclipped", "task=latch").code == 0
    assert len(launched) == 2 and all("optim.clip_norm=null" in job for job in launched)


def test_a_key_that_is_left_out_is_no_null(seqbench: Run, launched):
    """Hydra's sweeper writes `~key=null`, which reads as if the key were null and not at its default."""
    Path("lines").write_text("~optim.clip_norm\noptim.clip_norm=5\n~optim.clip_nom\n")
    said = seqbench("--jobs", "lines", "task=latch")
    assert said.code == 2 and "There is no key 'optim.clip_nom'" in said.err and "=null" not in said.err
    assert seqbench("-m", "task=latch", "~optim.clip_norm", "seed=1,2").code == 0
    assert [job.split()[1] for job in launched] == ["~optim.clip_norm"] * 2


def test_a_glob_is_of_presets_and_those_in_folders_and_of_no_parts(seqbench: Run, launched):
    Path("presets/model/mine").mkdir(parents=True)
    for name in ("lstm", "gru"):
        Path(f"presets/model/mine/{name}.yaml").write_text(f"defaults: [{name}, _self_]\n")
    assert seqbench("-m", "model=glob(mine/*)", "task=latch").code == 0
    assert [job.split()[0] for job in launched] == ["model=mine/gru", "model=mine/lstm"]
    launched.clear()
    assert seqbench("-m", "model=glob([*gru,_seq*])", "task=latch").code == 0
    assert [job.split()[0] for job in launched] == ["model=gru", "model=min_gru", "model=mine/gru"]


def test_a_key_that_the_default_preset_has_not_goes_to_those_that_are_swept(seqbench: Run, launched):
    """`model=lstm`, which is not of these sweeps, has no such key."""
    width = "model.cell.conv_width=null"
    Path("models").write_text("model=mamba2\nmodel=delta_net\n")
    Path("presets/experiment").mkdir(parents=True)
    params = "hydra:\n  sweeper:\n    params: {model: 'mamba2,delta_net'}\n"
    Path("presets/experiment/both.yaml").write_text(f"# @package _global_\n{params}")
    for typed in (["model=mamba2,delta_net"], ["--jobs=models"], ["experiment=both"]):
        assert seqbench("-m", *typed, "task=latch", width).code == 0
        assert [width in job and ("mamba2" in job) == (i == 0) for i, job in enumerate(launched)] == [
            True
        ] * 2
        launched.clear()
    Path("more/model").mkdir(parents=True)
    Path("more/model/mine.yaml").write_text("defaults: [mamba2, _self_]\n")
    for typed in ([], ["hydra.searchpath=[file://more]"], ["--config-dir=more"]):
        assert seqbench("-m", "task=copy_memory,temporal_order", "task.symbols=2", *typed).code == 0
        if typed:
            assert seqbench("-m", "model=mine,delta_net", width, "task=latch", *typed).code == 0
        assert len(launched) == 2 + 2 * len(typed)
        launched.clear()
    launched.clear()
    said = seqbench("-m", "model=rnn,mamba2", width)
    assert said.code == 2 and not launched
    assert said.err.startswith("seqbench: rnn: There is no key 'model.cell.conv_width' here. model=delta_net")


WRONG = {
    "model=gruu": "There is no preset 'gruu' in model. Did you mean 'gru'?",
    "task.lenth=3": "There is no key 'task.lenth' here. Did you mean 'task.length'?",
    "n_seeds=2 foo": "'foo' cannot be read: an argument reads key=value.",
    "task=latch": "task is on the command line as well; one of them has to go.",
    "'a": "a quote is not closed.",
    "-m": "'-m' cannot be read",
    "hydra.mode=RUN": "hydra.mode goes on the command line, for all lines.",
    "experiment=reverse": "experiment goes on the command line, for all lines.",
    "runs_dir=elsewhere": "runs_dir goes on the command line, for all lines.",
    "model=": "model= must name a preset",
}
FAST = ("task.lenth=3", "task=latch", "-m")


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=() if line in FAST else pytest.mark.slow) for line in WRONG]
)
def test_a_wrong_line_is_named_before_anything_starts(seqbench: Run, launched, line):
    Path("jobs").write_text(f"model=rnn\n\n{line}\n")
    said = seqbench("--jobs", "jobs", "task=latch")
    assert said.code == 2 and not launched and not Path("runs").exists()
    assert said.err.startswith(f"seqbench: jobs, line 3: {WRONG[line]}") and said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["--jobs", ""], "hydra.sweeper.jobs= cannot be read: Is a directory."),
        (
            ["-m", "model=rnn", "--cfg", "job"],
            "--cfg shows the configuration of one run, and this is a sweep; leave -m out.",
        ),
        (["-m", "model=glob(zz*)"], "model=glob(zz*) matches no preset of model."),
        (["--zip"], "argument --zip: expected one argument; `seqbench --help` says more."),
        (["--dry-run=3"], "argument --dry-run: ignored explicit argument '3'; `seqbench --help` says more."),
        (
            ["model=rnn", "-m", "--jobs"],
            "argument --jobs: expected one argument; `seqbench --help` says more.",
        ),
    ],
)
def test_options_that_cannot_be_read(seqbench: Run, typed, sentence):
    said = seqbench(*typed)
    assert (said.code, said.err) == (2, f"seqbench: {sentence}\n")
