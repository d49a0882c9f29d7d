"""Every preset of a space: it fits the models that it is for, at every end."""

from __future__ import annotations

import pytest
import torch

from seqbench import build_model, build_task, compose
from seqbench.config.presets import model_accepts, preset_names
from seqbench.search.plan import plan
from seqbench.search.space import Range, corners

#: A task of each kind, with a short length and a long one.
TASKS = {"sequence": "latch", "tree": "listops", "story": "stories", "two-sequence": "reverse"}
LENGTHS = {"latch": (20, 1000)}
#: What the fast tests look at: the knobs that differ in kind.
FAST = ("leaky_rnn", "echo_state", "tree_lstm", "seq2seq")


@pytest.mark.parametrize(
    "model",
    [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in preset_names("model")],
)
def test_every_model_can_be_built_at_every_end_of_its_space(model):
    task = next(task for kind, task in TASKS.items() if kind in model_accepts(model))
    (part,) = plan([f"task={task}", f"model={model}"]).models
    if "optim.lr" in part.space:
        assert [*part.space][:2] == ["optim.lr", "optim.clip_norm"]
    for length in LENGTHS.get(task, (None,)):
        at = [] if length is None else [f"task.length={length}"]
        for params in corners(part.space):
            cfg = compose([*part.typed, *at, *part.arguments(params)])
            task_of_it = build_task(cfg)
            with torch.device("meta"):
                assert build_model(cfg, task_of_it).live_parameters() > 0


@pytest.mark.slow
def test_memory_in_steps_is_a_share_of_the_length():
    for model in ("leaky_rnn", "lstm", "gru", "skip_rnn", "clockwork_rnn", "lstm_chrono", "mgu"):
        (part,) = plan(["task=latch", f"model={model}"]).models
        (knob,) = [varied for key, varied in part.space.items() if key.startswith("model.")]
        assert isinstance(knob, Range) and knob.log and "${seqbench." in knob.value


def test_a_preset_that_builds_on_another_has_its_space():
    own, other = (plan(["task=latch", f"model={m}"]).models[0] for m in ("leaky_rnn", "leaky_rnn_short"))
    assert own.space == other.space and own.config.model != other.config.model
