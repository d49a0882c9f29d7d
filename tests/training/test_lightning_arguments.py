"""What may be passed on to Lightning has its effect; everything else is refused, with seqbench's own key."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from pathlib import Path

import lightning as L
import pytest
import torch

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.plan import plan
from seqbench.training.lightning_arguments import ALLOWED, INSTEAD, arguments, check_arguments
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.settings import TrainerSettings

TINY = ["task=latch", "task.length=5", "task.eval_size=8", "model=rnn", "model.hidden_size=3", "batch_size=4"]
TINY += ["trainer.max_steps=4", "trainer.eval_every=2", "logger=none", "trainer.stop_when_solved=false"]
#: Seqbench's keys that a refusal may name.
KEYS = {
    *(f"trainer.{field.name}" for field in dataclasses.fields(TrainerSettings)),
    *(f"optim.{name}" for name in inspect.signature(OptimizerConfig).parameters),
    *("task.eval_size", "trainer.accumulate", "trainer.checkpoint_every"),
}


class Flags(L.Callback):
    """Notes torch's flags while a run trains."""

    def __init__(self) -> None:
        self.seen: dict[str, object] = {}

    def on_train_batch_start(self, *_: object) -> None:
        self.seen |= {
            "detect_anomaly": torch.is_anomaly_enabled(),
            "deterministic": torch.get_deterministic_debug_mode(),
            "benchmark": torch.backends.cudnn.benchmark,
        }


def train(*overrides: str) -> tuple[seqbench.Result, dict[str, object]]:
    flags = Flags()
    (result,) = seqbench.train(seqbench.compose([*TINY, *overrides]), callbacks=[flags])
    assert result.status == "finished", result.error
    return result, flags.seen


def test_every_argument_of_lightnings_is_allowed_or_has_a_key_in_its_place() -> None:
    assert {*ALLOWED} | {*INSTEAD} == {*inspect.signature(L.Trainer).parameters}
    assert not {*ALLOWED} & {*INSTEAD}
    named = {key for sentence in INSTEAD.values() for key in re.findall(r"\b(?:\w+\.)\w+\b", sentence)}
    assert named <= KEYS and len(named) > 12


def test_what_is_not_allowed_is_refused_in_one_sentence() -> None:
    for name in INSTEAD:
        with pytest.raises(
            ConfigError, match=rf"^trainer.lightning.{name} is not passed to Lightning: .+\.$"
        ):
            check_arguments({name: 1})


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "+trainer.lightning.max_time=00:00:01:00",
            r"^trainer.lightning.max_time .*: trainer.max_steps set",
        ),
        (
            "+trainer.lightning.limit_val_batches=0",
            r"^trainer.lightning.limit_val_batches .*: task.eval_si",
        ),
        (
            "+trainer.lightning.gradient_clip_val=1",
            r"gradient_clip_val .*: give optim.clip_norm or optim.c",
        ),
        (
            "+trainer.lightning.accumulate_grad_batches=2",
            r"accumulate_grad_batches .*: give trainer.accumul",
        ),
        ("+trainer.lightning.profilr=simple", r"profilr is no argument .* Did you mean 'profiler'\?"),
        ("+trainer.lightning.profiler=pytorch", r"^trainer.lightning.profiler=pytorch must be simple or adv"),
        (
            "+trainer.lightning.detect_anomaly=false",
            r"^trainer.lightning.detect_anomaly=False must be true,",
        ),
        (
            "+trainer.lightning.deterministic=1",
            r"^trainer.lightning.deterministic=1 must be true or warn",
        ),
        ("+trainer.lightning.benchmark=true", r"^trainer.lightning.benchmark=true chooses .* of a GPU"),
        ("trainer.precision=16-mixed", r"^trainer.precision=16-mixed scales the loss.* use bf16-mixed.$"),
        ("trainer.precision=half", r"^trainer.precision=half must be one of 32-true, 64-true, bf16-mixed"),
        ("trainer.precision=64", r"^trainer.precision=64 must be one of 32-true, 64-true"),
        (
            "trainer.strategy=fsdp",
            r"^trainer.strategy=fsdp must be one of auto, ddp, ddp_find_unused_paramet",
        ),
        ("trainer.strategy=ddp", r"^trainer.strategy=ddp says how devices share batches, and there is one"),
        ("trainer.accelerator=abacus", r"^trainer.accelerator=abacus is unknown; there are auto, cpu"),
    ],
)
def test_it_is_refused_when_the_plan_is_made(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        plan(seqbench.compose([*TINY, override]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_has_its_effect_and_leaves_the_process_as_it_was(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("seqbench.runs.effects.accelerator", lambda settings: "cuda")  # for `benchmark`
    plain, usual = train("runs_dir=runs/plain")
    assert usual == {"detect_anomaly": False, "deterministic": 0, "benchmark": False}
    for value, expected in {
        "profiler": {"simple": usual, "advanced": usual},
        "detect_anomaly": {"true": usual | {"detect_anomaly": True}},
        "deterministic": {
            **{"true": usual | {"deterministic": 2}, "warn": usual | {"deterministic": 1}},
        },
        "benchmark": {"true": usual | {"benchmark": True}},
    }[name].items():
        capsys.readouterr()
        result, seen = train(f"+trainer.lightning.{name}={value}", f"runs_dir=runs/{value}")
        assert seen == expected
        assert result.test == plain.test and result.validation == plain.validation
        out = capsys.readouterr().out
        reported = "FIT Profiler Report" in out and "TEST Profiler Report" in out and "training_step" in out
        assert reported == (name == "profiler")
    assert not torch.is_anomaly_enabled() and torch.get_deterministic_debug_mode() == 0
    assert torch.backends.cudnn.benchmark is False and "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    assert [path.name for path in Path().iterdir()] == ["runs"]


@pytest.mark.filterwarnings("ignore:Error detected in MulBackward0")
def test_detect_anomaly_names_where_a_gradient_is_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqbench.models.sequence import SequenceModel

    forward = SequenceModel.forward

    def broken(model: SequenceModel, inputs: torch.Tensor, lengths: torch.Tensor | None = None) -> object:
        outputs, state = forward(model, inputs, lengths)
        return outputs + (0 * outputs).sqrt(), state  # whose derivative at 0 is not finite

    monkeypatch.setattr(SequenceModel, "forward", broken)
    cfg = seqbench.compose([*TINY, "+trainer.lightning.detect_anomaly=true"])
    (result,) = seqbench.train(cfg)
    assert result.status == "failed" and "'MulBackward0' returned nan values" in str(result.error)


def test_no_argument_is_left_to_the_environment() -> None:
    given = arguments({"detect_anomaly": True}, "folder")
    assert {*given} == {*inspect.signature(L.Trainer).parameters}
    assert given["detect_anomaly"] is True and given["max_time"] is None
    assert given["default_root_dir"] == "folder"
