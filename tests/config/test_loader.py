"""Presets: they define sweeps, and have no say in what Hydra itself builds and calls."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

import seqbench
from hydra_plugins.seqbench.loader import PresetLoader, _check_preset, preset_loader
from seqbench.config.explain import explain
from seqbench.config.hydra_api import composed
from seqbench.config.presets import CONF_DIR, describe, preset_names, preset_node
from tests.payloads import MODULE, TINY, TOUCH, refused, write

pytestmark = pytest.mark.usefixtures("nothing_runs")
NODE = json.dumps(TOUCH)
GLOBAL = "# @package _global_\n"


def params(**values):
    return {"sweeper": {"params": values}}


#: The node `hydra` of a preset, and what of it is refused.
OF_HYDRA = [
    ({"callbacks": {"x": TOUCH}}, "hydra.callbacks.x._target_=subprocess.call"),
    ({"job_logging": {"handlers": {"x": {"()": "y"}}}}, "hydra.job_logging.handlers.x.()=y"),
    ({"launcher": {"setup": ["touch ran"]}}, "hydra.launcher.setup=['touch ran']"),
    ({"launcher": {"sbatch": {"wrap": "touch ran"}}}, "hydra.launcher.sbatch.wrap=touch ran"),
    ({"launcher": {"address": "there:6379"}}, "hydra.launcher.address=there:6379"),
    ({"launcher": {"partition": "${evil}"}}, "hydra.launcher.partition=${evil}"),
    ({"launcher": {"n_jobs": TOUCH}}, "hydra.launcher.n_jobs._target_=subprocess.call"),
    ({"launcher": {"n_jobs": "${evil}"}}, "hydra.launcher.n_jobs=${evil}"),
    ({"sweeper": TOUCH}, "hydra.sweeper._target_=subprocess.call"),
    (params(**TOUCH), "hydra.sweeper.params._target_=subprocess.call"),
    (params(seed=TOUCH), "hydra.sweeper.params.seed={'_target_': 'subprocess.call'"),
    (params(seed="${evil}"), "hydra.sweeper.params.seed=${evil}"),
    (params(seed=["${evil}"]), "hydra.sweeper.params.seed=['${evil}']"),
    (params(allowed_packages="[os]"), "hydra.sweeper.params.allowed_packages=[os]"),
    (params(**{"++allowed_packages": "[os]"}), "hydra.sweeper.params.++allowed_packages=[os]"),
    (params(**{"+hydra.callbacks.x": NODE}), "hydra.sweeper.params.+hydra.callbacks.x="),
    (params(**{"hydra/launcher": "x"}), "hydra.sweeper.params.hydra/launcher=x"),
    (params(**{"model@hydra.callbacks": "y"}), "hydra.sweeper.params.model@hydra.callbacks=y"),
    (params(**{"seed=1,allowed_packages": "[os]"}), "hydra.sweeper.params.seed=1,allowed_packages="),
    ({"job": {"env_set": {"LD_PRELOAD": "x"}}}, "hydra.job.env_set.LD_PRELOAD=x"),
    ("${evil}", "hydra=${evil}"),
]


@pytest.mark.parametrize(("node", "said"), OF_HYDRA)
def test_a_preset_has_no_say_in_what_hydra_builds(node, said):
    config = OmegaConf.create({"evil": {"callbacks": {"x": TOUCH}}, "hydra": node})
    for folder in ("/presets", f"{CONF_DIR}2", f"{CONF_DIR}/.."):
        preset = SimpleNamespace(path=f"file://{folder}", config=config)
        refused(f"{folder}/experiment/x.yaml sets {said}", _check_preset, "experiment/x", preset)


#: The file of a preset and its text, what is typed, and what is said.
AROUND = [
    ("experiment/x", f"# @package hydra.callbacks.x\n{NODE}", "experiment=x", "The preset experiment/x can"),
    ("experiment/x", f"{GLOBAL}defaults: [/task@hydra.x: latch]", "experiment=x", "The preset task/latch "),
    ("experiment/x", f"{GLOBAL}hydra: {{callbacks: {NODE}}}", "experiment=x", "FILE sets hydra.callbacks."),
    ("task/x", f"{GLOBAL}allowed_packages: [os]", "task=x", "FILE sets allowed_packages; packages are "),
    ("hydra/launcher/x", NODE, "hydra/launcher=x", "FILE sets hydra.launcher._target_=subprocess.call"),
    ("hydra/job_logging/none", "a: x", "seed=1", "FILE sets hydra.job_logging.a=x"),
    ("task/x", "x: !!python/object/apply:os.system [touch ran]", "task=x", "FILE, line 1, is not YAML"),
    ("config", "hydra: {searchpath: ['pkg://ran_by_import']}", "seed=1", "FILE sets hydra.searchpath="),
    ("../x", "seed: 1", "model=../../x", "model/../../x leaves the folder of presets"),
]
#: The text of a preset that is none, and what is said.
NO_PRESET = [
    ("- a\n- b", "FILE holds a list, and a preset holds keys: key: value."),
    ("defaults: 3", ""),
    ("words alone", "FILE holds a str, and a preset holds keys"),
    ("defaults: [mine, _self_]", "FILE builds on itself: mine → mine, by what its defaults list."),
    ("defaults: [other, _self_]", "FILE builds on itself: mine → other → mine, by what its defaults list."),
    (
        "defaults: [lsmt]",
        "model/mine builds on model/lsmt. There is no preset 'lsmt' in model. Did you mean 'l",
    ),
    ("hidden_size: [3", "FILE, line 1, is not YAML: "),
    ("# caf\xe9", "FILE is not UTF-8: unexpected end of data at byte 5; save it as such."),
]


@pytest.mark.parametrize(("text", "sentence"), NO_PRESET)
def test_what_is_no_preset_is_named_by_its_file(text, sentence):
    write("presets/model/other.yaml", "defaults: [mine]\n")
    write("presets/model/mine.yaml", "")
    Path("presets/model/mine.yaml").write_bytes(text.encode("latin-1"))
    file = f"{Path.cwd()}/presets/model/mine.yaml"
    refused(sentence.replace("FILE", file), seqbench.compose, ["model=mine"])
    assert "mine" in preset_names("model") and preset_node("model", "mine") is not None


def test_a_circle_in_a_folder_of_one_command_is_a_sentence():
    write("there/model/mine.yaml", "defaults: [mine, _self_]\n")
    with (
        pytest.raises(RecursionError) as caught,
        preset_loader(),
        hydra.initialize_config_dir(f"{Path.cwd()}/there", version_base="1.3"),
    ):
        hydra.compose("model/mine")
    assert str(explain(caught.value)) == (
        "A preset builds on itself: what its defaults list leads back to it."
    )


def test_a_mark_of_the_order_of_bytes_hides_no_description():
    write("presets/model/mine.yaml", "\ufeff# My own.\ndefaults: [gru, _self_]\n")
    assert describe("model", "mine") == "My own"
    assert seqbench.compose(["model=mine"]).model.cell._target_.endswith("GRU")


@pytest.mark.parametrize(("path", "text", "override", "sentence"), AROUND)
def test_a_preset_is_no_way_around(path, text, override, sentence):
    write("ran_by_import.py", MODULE)
    write("presets/model/here.yaml", "defaults: [rnn]\n")
    write(f"presets/{path}.yaml", f"{text}\n")
    file = f"{Path.cwd()}/presets/{path}.yaml"
    refused(sentence.replace("FILE", file), seqbench.compose, [override])


@pytest.mark.parametrize(
    "override",
    [
        *("+hydra.callbacks.x._target_=os.system", "hydra.sweeper._target_=os.system"),
        *("++hydra={callbacks:{x:{_target_:os.system}}}", "hydra.job_logging.version=1"),
        *("hydra.launcher._target_=os.system", "+hydra.sweeper.params={x:{_target_:os.system}}"),
        "hydra.searchpath=[pkg://ran_by_import]",
    ],
)
def test_the_command_line_builds_nothing_of_hydras_either(override):
    refused(f"{override} is not allowed: it could make Hydra run code.", seqbench.compose, [override])


def test_a_preset_may_define_a_sweep_and_choose_a_launcher():
    node = {"mode": "MULTIRUN", "launcher": {"n_jobs": 2}}
    node |= params(**{"task.length": "5,6", "model.cell._target_": "a,b", "model": ["rnn", "gru"], "seed": 1})
    text = {"defaults": [{"override /hydra/launcher": "basic"}], "hydra": node}
    write("presets/experiment/mine.yaml", GLOBAL + json.dumps(text))
    assert seqbench.compose(["experiment=mine", *TINY]).task.length == 5


def test_a_preset_may_describe_a_cluster():
    write("presets/hydra/launcher/mine.yaml", "defaults: [slurm, _self_]\npartition: gpu\ntime: 720\n")
    launcher = composed(["hydra/launcher=mine"]).hydra.launcher
    assert launcher.partition == "gpu" and launcher._target_.endswith("SlurmLauncher")


#: Values that go with every preset, and words that choose one.
VALUES = [
    *(
        "task.eval_size=7",
        "optim.lr=0.3",
        "optim.clip_norm=null",
        "optim.optimizer.betas=[0.5,0.9]",
        "seed=4",
    ),
    *("trainer.max_steps=9", "+trainer.lightning.profiler=simple", "~trainer.progress"),
    *("runs_dir=there", "optim.weight_decay='0.1'", "++optim.new.er=a", "optim.schedule=${trainer.strategy}"),
    *(
        "hydra.job.name=x",
        "hydra.verbose=true",
        "logger=[wandb,csv]",
        "logger=none",
        "++optim.optimizer={eps:1}",
    ),
]


def lists_of_overrides(number: int) -> Iterator[list[str]]:
    draw = random.Random(0)
    for _ in range(number):
        groups = {group: draw.choice(preset_names(group)) for group in ("task", "model", "optim")}
        chosen = [f"{group}={name}" for group, name in groups.items() if draw.random() < 0.7]
        yield draw.sample(mixed := [*chosen, *draw.sample(VALUES, 4)], len(mixed))


def outcome(overrides: list[str]) -> str:
    try:
        return OmegaConf.to_yaml(composed(overrides))
    except HydraException as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("number", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_what_is_composed_once_is_what_hydra_composes_each_time(monkeypatch, number):
    asked = [*lists_of_overrides(number)]
    ours = [outcome(overrides) for overrides in [*asked, *asked]]
    monkeypatch.delattr(PresetLoader, "_load_configuration_impl")
    theirs = [outcome(overrides) for overrides in asked]
    assert ours == theirs + theirs
    assert sum("hydra:" in it for it in theirs) > 0.5 * number


@pytest.mark.parametrize(
    "typed",
    [
        ["task=latch", "seed=3"],
        ["hydra.mode=MULTIRUN", "model=gru"],
        ["model=gru,rnn"],
        ["experiment=quickstart"],
    ],
)
def test_so_it_is_for_hydras_look_whether_it_is_a_sweep(monkeypatch, typed):
    def both() -> list[str]:
        with preset_loader(), hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            load = GlobalHydra.instance().config_loader().load_configuration
            modes = (RunMode.MULTIRUN, RunMode.RUN)
            found = [load("config", typed, mode, validate_sweep_overrides=False) for mode in modes]
        return [OmegaConf.to_yaml(each) for each in found]

    ours = both()
    monkeypatch.delattr(PresetLoader, "_load_configuration_impl")
    assert ours == both()


def test_a_preset_that_changes_meanwhile_is_composed_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("SEQBENCH_PRESETS", str(tmp_path))
    preset, shadow = tmp_path / "optim/mine.yaml", tmp_path / "optim/adam.yaml"
    write(str(preset), "defaults: [adam]\nlr: 1\n")
    assert seqbench.compose(["optim=mine"]).optim.lr == 1
    assert seqbench.compose(["optim=mine"]).optim.lr == 1
    preset.write_text("defaults: [adam]\nlr: 0.25\n")
    assert seqbench.compose(["optim=mine"]).optim.lr == 0.25
    write(str(shadow), "defaults: [sgd]\nclip_norm: 3\n")
    assert seqbench.compose(["optim=mine"]).optim.clip_norm == 3
    shadow.unlink()
    assert seqbench.compose(["optim=mine"]).optim.clip_norm != 3
    preset.unlink()
    refused("There is no preset 'mine' in optim.", seqbench.compose, ["optim=mine"])
