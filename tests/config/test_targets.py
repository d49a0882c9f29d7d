"""Targets: every place of a configuration builds its kind, and nothing else is called."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

import seqbench
from seqbench.config.build import (
    build_callbacks,
    build_model,
    build_optimizer_config,
    build_settings,
    build_task,
)
from seqbench.config.loggers import LoggerFactory
from tests.payloads import MODULE, TINY, TOUCH, refused, write

pytestmark = pytest.mark.usefixtures("nothing_runs")
LIGHTNING = "lightning.pytorch"


def build_all(cfg) -> None:
    """Build every part of a run."""
    build_settings(cfg)
    build_optimizer_config(cfg)
    build_model(cfg, build_task(cfg))
    build_callbacks(cfg)
    list(LoggerFactory(cfg)({"info": None, "save_dir": "runs"}))


@pytest.fixture(scope="module")
def tiny():
    return seqbench.compose([*TINY, "optim=sgd"])


#: What a `_target_` may not name, for each place, and what the sentence says of it.
REFUSED = {
    "task._target_": [
        ("os.system", "is outside the packages allowed (seqbench, torch, lightning); if you trust it, add"),
        ("torch.utils.collect_env.run", "cannot be built: of torch only what is in torch.nn, torch.optim"),
        ("torch.hub.load", "cannot be built"),
        ("torch.os.system", "cannot be built"),
        ("torch.nn.functional.linear", "makes no Task"),
        ("torch.nn.modules.module.os.system", "cannot be found"),
        ("lightning.pytorch.cli.LightningCLI", "cannot be built"),
        ("seqbench.cli.main", "cannot be built: of seqbench only what is in seqbench.models,"),
        ("seqbench.config.build.os.system", "cannot be built"),
        ("seqbench.config.build.build_task", "cannot be built"),
        ("seqbench.runs.trained.load_run", "cannot be built"),
        ("seqbench.tasks.synthetic.latch.torch.hub.load", "cannot be found"),
        ("seqbench.tasks.synthetic.latch.torch", "makes no Task"),
        ("seqbench.models.sequence.SequenceModel", "makes no Task"),
        ("ran_by_import.Task", "is outside the packages allowed"),
        ("system", "is outside the packages allowed"),
        ("", "is outside the packages allowed"),
        ("..os.system", "is outside the packages allowed"),
    ],
    "model._target_": [("torch.nn.Linear", "makes no Model"), ("torch.compile", "cannot be built")],
    "model.cell._target_": [
        ("torch.utils.collect_env.run", "cannot be built"),
        ("torch.nn.RNNCell", "makes no Cell"),
        ("seqbench.models.readouts.LinearReadout", "makes no Cell"),
    ],
    "model.readout._target_": [
        ("torch.hub.load", "cannot be built"),
        (
            "torch.nn.init.zeros_",
            "makes no Module: it is neither a class of that kind nor",
        ),
    ],
    "optim._target_": [("torch.optim.SGD", "makes no OptimizerConfig")],
    "optim.optimizer._target_": [
        ("torch.load", "cannot be built"),
        ("torch.optim.lr_scheduler.StepLR", "makes no Optimizer"),
    ],
    "trainer._target_": [("subprocess.call", "is outside"), (f"{LIGHTNING}.Trainer", "cannot be built")],
    "callbacks.x._target_": [(f"{LIGHTNING}.loggers.CSVLogger", "makes no Callback")],
    "logger.x._target_": [(f"{LIGHTNING}.callbacks.Timer", "makes no Logger"), ("os.system", "is outside")],
}


@pytest.mark.parametrize("key", REFUSED)
def test_every_place_builds_its_kind_and_nothing_else(tiny, key):
    write("ran_by_import.py", MODULE)
    for target, sentence in REFUSED[key]:
        cfg = tiny.copy()
        OmegaConf.update(cfg, key, target, force_add=True)
        refused(f"{key}={target} {sentence}", build_all, cfg)


NO_KIND = "_target_=subprocess.call: no annotation says what is built here."
NODES = [
    ("task._args_", [TOUCH], "task._args_ is not allowed; name the arguments of seqbench.tasks."),
    ("task._hidden", TOUCH, "task._hidden is not allowed"),
    ("task.__init__", TOUCH, "task.__init__ is not allowed"),
    ("task._recursive_", False, "task._recursive_ is not allowed"),
    ("task.length", TOUCH, f"task.length.{NO_KIND}"),
    ("task.eval_lengths", [TOUCH], "task.eval_lengths has a _target_ deep within, where none is built."),
    ("task._partial_", True, "task._partial_=True must be false."),
    ("model.cell._partial_", False, "model.cell._partial_=False must be true."),
    ("model.cell._partial_", TOUCH, "model.cell._partial_={'_target_': 'subprocess.call'"),
    ("model.cell.recurrent_init", TOUCH, f"model.cell.recurrent_init.{NO_KIND}"),
    ("model.readout.bias", TOUCH, "model.readout.bias is unknown"),
    ("optim.optimizer.momentum", {"a": [TOUCH]}, "optim.optimizer.momentum has a _target_ deep within"),
    ("trainer.lightning", {"profiler": TOUCH}, "trainer.lightning has a _target_ deep within"),
    (
        "logger.x",
        {"_target_": f"{LIGHTNING}.loggers.CSVLogger", "save_dir": TOUCH},
        f"logger.x.save_dir.{NO_KIND}",
    ),
    (
        "logger.x",
        {"_target_": f"{LIGHTNING}.loggers.WandbLogger", "settings": TOUCH},
        f"logger.x.settings.{NO_KIND}",
    ),
    (
        "callbacks.x",
        {"_target_": f"{LIGHTNING}.callbacks.LambdaCallback", "setup": TOUCH | {"_partial_": True}},
        f"callbacks.x.setup.{NO_KIND}",
    ),
    (
        "callbacks.x",
        {"_target_": f"{LIGHTNING}.callbacks.ModelSummary", "max_depth": 1, 3: TOUCH},
        "callbacks.x.3",
    ),
]


@pytest.mark.parametrize(("key", "node", "sentence"), NODES)
def test_nothing_is_built_where_no_annotation_says_of_what_kind(tiny, key, node, sentence):
    cfg = tiny.copy()
    OmegaConf.update(cfg, key, node, force_add=True)
    refused(sentence, build_all, cfg)


def test_a_logger_stays_in_its_folder(tiny):
    csv = {"_target_": f"{LIGHTNING}.loggers.CSVLogger"}
    for key, value in [("name", "../../x"), ("version", "/tmp/x"), ("name", "a/../../b"), ("version", "\0")]:
        cfg = tiny.copy()
        cfg.logger = {"mine": csv | {key: value}}
        refused(f"logger.mine.{key}=", LoggerFactory, cfg)
    for name in ("../../x", "/tmp/x"):
        cfg = tiny.copy()
        cfg.logger = {name: csv}
        refused(f"logger.{name} would leave the folder of the runs", LoggerFactory, cfg)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.readout._target_=torch.nn.Linear", "optim.optimizer._target_=torch.optim.NAdam"],
        ["optim=sgd", "optim.optimizer._target_=torch.optim.sgd.SGD"],
        ["+callbacks.x._target_=lightning.pytorch.callbacks.LearningRateMonitor"],
        ["logger=csv", "+logger.csv.name=mine/own", "+logger.csv.prefix=p"],
        ["hydra/launcher=basic", "hydra.sweep.subdir=y", "hydra.sweep.dir=x", "hydra.verbose=true"],
    ],
)
def test_what_is_of_the_kind_is_built(overrides):
    build_all(seqbench.compose([*TINY, *overrides]))
