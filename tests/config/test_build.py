"""Building: models by one factory, a width for a budget, loggers and callbacks by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from omegaconf import OmegaConf, open_dict

import seqbench
from seqbench.config import build, instantiate
from seqbench.config.build import ModelFactory, build_callbacks, width_for_budget
from seqbench.config.identity import resolve
from seqbench.config.loggers import LoggerFactory
from seqbench.errors import ConfigError
from seqbench.models import Model
from seqbench.tasks.series import mackey_glass, narma10

SMALL = ["task=adding", "task.length=7", "model=lstm"]
NAMES = {"model": "lstm", "task": "adding"}


@pytest.mark.parametrize("measure", [mackey_glass._variances, narma10._variances])
def test_what_a_task_measures_does_not_depend_on_the_cores(measure: Any) -> None:
    cfg = seqbench.compose([f"task={measure.__module__.rpartition('.')[2]}"])
    found = []
    for threads in (1, 2):
        measure.cache_clear()
        torch.set_num_threads(threads)
        try:
            found.append(seqbench.build_task(cfg).variance)
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(1)
    assert found[0] == found[1]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count what is checked, and how often a whole model is made."""
    found = {"check": 0, "model": 0}
    check, make = instantiate.check, instantiate.instantiate

    def count_check(node, where, *rest, **more):
        found["check"] += 1
        return check(node, where, *rest, **more)

    def count_model(checked, where, kind, **given):
        found["model"] += where == "model"
        return make(checked, where, kind, **given)

    monkeypatch.setattr(instantiate, "check", count_check)
    monkeypatch.setattr(build, "check", count_check)
    monkeypatch.setattr(build, "instantiate", count_model)
    return found


def test_a_task_whose_class_names_another_key_of_its_span_is_refused(monkeypatch):
    cfg = seqbench.compose(["task=time_warp"])
    assert seqbench.build_task(cfg).span.key == "warp"
    monkeypatch.setattr("seqbench.tasks.synthetic.adding.Adding.span_key", "hops")
    with pytest.raises(ConfigError) as caught:
        seqbench.build_task(seqbench.compose(["task=adding"]))
    assert str(caught.value) == (
        "seqbench.tasks.synthetic.adding.Adding says that task.length sets its span, and has span_key = "
        "'hops'; set it to 'length' in the class."
    )


def test_a_model_is_checked_once_and_made_as_often_as_asked(calls):
    cfg = seqbench.compose([*SMALL, "model.hidden_size=4"])
    make_model = ModelFactory(cfg, seqbench.build_task(cfg))
    calls["check"] = 0
    models = [make_model() for _ in range(5)]
    assert calls == {"check": 0, "model": 5}
    assert len({model.readout.weight.data_ptr() for model in models}) == 5
    torch.manual_seed(3)
    ours = make_model().state_dict()
    torch.manual_seed(3)
    theirs = seqbench.build_model(cfg, seqbench.build_task(cfg)).state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_width_of_a_budget_is_searched_once_for_models_and_configuration(calls):
    cfg = seqbench.compose([*SMALL, "model.param_budget=10000"])
    task = seqbench.build_task(cfg)
    calls["check"] = 0
    make_model = ModelFactory(cfg, task)
    searched = calls["model"]
    assert searched <= 12 and calls["check"] == 3  # the model, its cell and its readout
    assert make_model.width == 48 and resolve(cfg, make_model).model.hidden_size == 48
    assert calls["model"] == searched
    counts = [sum(p.numel() for p in make_model().parameters()) for _ in range(3)]
    assert counts == [9841] * 3 and calls["model"] == searched + 3


def test_the_nearest_width_is_found_from_either_side():
    for budget, width in ((100, 10), (105, 10), (116, 11), (121, 11)):
        assert width_for_budget(budget, lambda n: n * n, NAMES) == width
    with pytest.raises(
        ConfigError, match=r"lstm on adding: the nearest are 1 parameters \(hidden_size=1\) and 4"
    ):
        width_for_budget(2, lambda n: n * n, NAMES)


def test_a_budget_for_a_model_whose_size_is_fixed_is_refused():
    with pytest.raises(ConfigError, match="does not depend on hidden_size"):
        width_for_budget(100, lambda n: 7, NAMES)


@pytest.mark.parametrize("budget", ["0", "0.5", "many", "true"])
def test_a_budget_is_a_whole_number(budget):
    cfg = seqbench.compose([*SMALL, f"model.param_budget={budget}"])
    with pytest.raises(
        ConfigError, match=rf"(?i)model.param_budget={budget} must be a whole number, at least 1"
    ):
        seqbench.build_model(cfg, seqbench.build_task(cfg))


OFFERED = {
    "info": None,
    "save_dir": Path("runs"),
    "name": "adding/lstm",
    "version": "seed-3",
    "run_name": "x",
}


def loggers(*overrides: str):
    return list(LoggerFactory(seqbench.compose(overrides))(OFFERED))


def test_no_logger_and_several():
    assert loggers("logger=none") == []
    presets = Path("presets/logger")
    presets.mkdir(parents=True)
    (presets / "mine.yaml").write_text(
        "mine:\n  _target_: lightning.pytorch.loggers.CSVLogger\n  name: own\n"
    )
    ours, mine = loggers("logger=[csv,mine]", "+logger.mine.prefix=p")
    assert isinstance(ours, CSVLogger) and isinstance(mine, CSVLogger)
    # What the preset sets stays; what it leaves open comes from the run.
    assert Path(ours.log_dir) == Path("runs/csv/adding/lstm/seed-3")
    assert Path(mine.log_dir) == Path("runs/mine/own/seed-3") and mine._prefix == "p"


def test_the_names_of_several_presets_are_on_record():
    assert seqbench.compose(["logger=[csv,wandb]"]).preset.logger == ["csv", "wandb"]
    assert seqbench.compose(["logger=csv"]).preset.logger == "csv"
    assert seqbench.compose(["logger=[]"]).preset.logger == []
    cfg = seqbench.compose([])
    assert (cfg.preset.logger, cfg.preset.callbacks) == ("wandb", "none") and cfg.callbacks == {}


def test_a_logger_may_be_switched_off_by_its_name():
    assert len(loggers("logger=[csv]")) == 1 and loggers("logger=[csv]", "logger.csv=null") == []


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["logger=tensorboard"],
            "logger.tensorboard: Neither `tensorboard` nor `tensorboardX` is available.",
        ),
        (["logger=mlflow"], "logger.mlflow: Requirement 'mlflow"),
        (
            ["logger=none", "+logger.x._target_=torch.nn.Identity"],
            "logger.x._target_=torch.nn.Identity makes no Logger: it is neither",
        ),
        (
            ["logger=csv", "+logger.csv.flush=1"],
            "logger.csv.flush is unknown to lightning.pytorch.loggers.CSVL",
        ),
        (
            ["logger=wandb", "+logger.wandb.info=1"],
            "logger.wandb.info is unknown to seqbench.training.loggers.",
        ),
    ],
)
def test_a_logger_that_cannot_be_made_is_one_sentence(overrides, sentence, monkeypatch):
    for package in ("_TENSORBOARD", "_TENSORBOARDX"):
        monkeypatch.setattr(f"lightning.fabric.loggers.tensorboard.{package}_AVAILABLE", False)
    monkeypatch.setattr("lightning.pytorch.loggers.mlflow._MLFLOW_AVAILABLE", Missing())
    with pytest.raises(ConfigError) as caught:
        loggers(*overrides)
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


class Missing:
    """A package that is not there."""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "Requirement 'mlflow>=1.0.0' not met."


def test_callbacks_are_lightnings_by_name():
    cfg = seqbench.compose([])
    assert build_callbacks(cfg) == []
    with open_dict(cfg):
        cfg.callbacks = OmegaConf.create(
            {"rate": {"_target_": "lightning.pytorch.callbacks.LearningRateMonitor", "log_momentum": "yes"}}
        )
    (callback,) = build_callbacks(cfg)
    assert isinstance(callback, LearningRateMonitor) and callback.log_momentum is True
    with open_dict(cfg):
        cfg.callbacks = {"odd": {"_target_": "torch.nn.Identity"}}
    with pytest.raises(ConfigError, match=r"callbacks.odd._target_=torch.nn.Identity makes no Callback"):
        build_callbacks(cfg)


class Lazy(Model):
    def __init__(self) -> None:
        super().__init__()
        self.readout = torch.nn.LazyLinear(2)


def test_a_module_that_waits_for_its_sizes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = seqbench.compose(SMALL)
    make = ModelFactory(cfg, seqbench.build_task(cfg))
    monkeypatch.setattr(build, "instantiate", lambda *_, **__: Lazy())
    with pytest.raises(ConfigError, match=r"^model: readout is a LazyLinear, whose weight has no"):
        make()
