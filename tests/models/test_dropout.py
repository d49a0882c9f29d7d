"""Dropout: masks are data of a seed and a step, and what they scale is what torch's own dropout does."""

from __future__ import annotations

import re
from itertools import islice

import pytest
import torch

import seqbench
from seqbench.errors import ConfigError
from seqbench.models.dropout import Dropout
from seqbench.models.unfold import unfold
from seqbench.runs.differences import differences
from seqbench.runs.plan import plan
from seqbench.training.batches import training_batches
from tests.runs.test_company import folder, stopped_at, train

TASK = ["task=embedded_reber", "task.length=16", "model=lstm", "model.hidden_size=6", "model.num_layers=2"]
RUN = [*TASK, "task.eval_size=20", "batch_size=5", "model.dropout=0.4", "logger=none", "optim.truncate=6"]
RUN += ["trainer.max_steps=8", "trainer.eval_every=2", "trainer.checkpoint_every=2"]
RUN += ["trainer.stop_when_solved=false"]


def model_of(*overrides: str):
    cfg = seqbench.compose([*TASK, *overrides])
    task = seqbench.build_task(cfg)
    torch.manual_seed(0)
    return task, seqbench.build_model(cfg, task)


def test_without_a_mask_nothing_is_dropped() -> None:
    task, with_dropout = model_of("model.dropout=0.5")
    _, without = model_of()
    batch = task.validation().rows(0, 5)
    assert torch.equal(with_dropout(batch.inputs)[0], without(batch.inputs)[0])
    assert without.dropout_masks is None and not list(with_dropout.buffers())[1:]


@pytest.mark.parametrize("engine", ["fused", "native", "loop"])
@pytest.mark.parametrize("more", [[], ["model.embedding_size=3"], ["model.bidirectional=true"]], ids=str)
def test_outputs_and_gradients_are_those_of_torchs_formula(engine: str, more: list[str]) -> None:
    task, model = model_of("model.dropout=0.25", f"model.engine={engine}", *more)
    model, inputs = model.double(), task.validation().inputs[:4]
    dropout = model.dropout_masks
    mask = dropout.draw(*inputs.shape[:2], torch.Generator().manual_seed(1))
    keep = (mask.double() / 0.75).split(dropout.sizes, dim=-1)
    x = model.encode(inputs)
    if model.embedding is not None:
        x, keep = x * keep[0], keep[1:]
    for i, scale in enumerate(keep):
        h, _ = unfold(model.body.cells[i], x, engine="loop")
        if model.body.bidirectional:
            back, _ = unfold(model.body.backward_layers[i], x, reverse=True, engine="loop")
            h = torch.cat([h, back], dim=-1)
        x = h * scale
    expected, (found, _) = model.readout(x), model(inputs, dropout_mask=mask)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    parameters = [p for p in model.parameters() if p.requires_grad]
    weights = torch.randn(found.shape, dtype=torch.float64)
    gradients = [torch.autograd.grad((o * weights).sum(), parameters) for o in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)


def test_the_mean_is_kept_and_the_share_is_the_rate() -> None:
    dropout = Dropout(0.3, (50, 70))
    mask = dropout.draw(40, 100, torch.Generator().manual_seed(0))
    first, second = dropout.scales(mask, torch.float64)
    assert first.shape == (40, 100, 50) and second.shape == (40, 100, 70)
    for scale in (first, second):  # five standard errors
        assert abs(scale.mean() - 1) < 5 * (0.3 / 0.7 / scale.numel()) ** 0.5
        assert scale.unique().tolist() == pytest.approx([0, 1 / 0.7])


def test_of_one_target_a_sequence_the_last_output_is_masked() -> None:
    cfg = seqbench.compose(["task=latch", "task.length=5", "model=gru", "model.dropout=0.5"])
    task = seqbench.build_task(cfg)
    model, inputs = seqbench.build_model(cfg, task), task.validation().inputs[:3]
    mask = model.dropout_masks.draw(3, 5, torch.Generator().manual_seed(0))
    h, _ = model.body(model.encode(inputs), last=True)
    torch.testing.assert_close(model(inputs, dropout_mask=mask)[0], model.readout(h * mask[:, -1] * 2))


def test_masks_are_of_the_seed_and_the_step_and_batches_stay_what_they_are() -> None:
    task, _ = model_of()
    streams = {"rate_at": lambda step: 1.0, "dropout": Dropout(0.5, (6, 6))}
    found = list(islice(training_batches(task, 0, 4, **streams), 4))
    plain = list(islice(training_batches(task, 0, 4, rate_at=lambda step: 1.0), 4))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(found, plain, strict=True))
    later = next(training_batches(task, 0, 4, 3, **streams)).extras["dropout_mask"]
    other = next(training_batches(task, 1, 4, 3, **streams)).extras["dropout_mask"]
    masks = [batch.extras["dropout_mask"] for batch in found]
    assert torch.equal(later, masks[3]) and masks[3].shape == (4, found[3].inputs.shape[1], 12)
    assert not torch.equal(masks[2], masks[3]) and not torch.equal(other, later)


def test_a_seed_is_the_same_alone_in_company_and_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    train(*RUN, "n_seeds=2", "runs_dir=two")
    with stopped_at(4, monkeypatch):
        train(*RUN, "seed=1", "runs_dir=alone")
    train(*RUN, "seed=1", "runs_dir=alone")
    assert differences(folder("alone", 1), folder("two", 1)) == []
    train(*RUN, "seed=1", "model.dropout=0", "runs_dir=without")
    assert differences(folder("without", 1), folder("two", 1)) != []


@pytest.mark.parametrize(
    ("overrides", "because"),
    [
        (["model.dropout=1"], "model.dropout=1.0 must lie in [0, 1)."),
        (["model.dropout=-0.1"], "model.dropout=-0.1 must lie in [0, 1)."),
        (
            ["model.dropout=0.5", "model.feedback=true"],
            "model.dropout=0.5 is for models that are not fed their",
        ),
        (
            ["model.dropout=0.5", "model/readout=ridge"],
            "model.dropout=0.5 has no effect on a readout that is",
        ),
        (["model.dropout=0.5", "optim=sgd_omega"], "and with model.dropout=0.5 a step trains a part of it"),
    ],
)
def test_what_cannot_be_is_refused(overrides: list[str], because: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(because)):
        plan(seqbench.compose(["task=latch", "model=rnn", "logger=none", *overrides]))


def test_no_dropout_is_the_run_that_it_was() -> None:
    default = plan(seqbench.compose([*TASK, "logger=none"]))
    assert default.identity == plan(seqbench.compose([*TASK, "logger=none", "model.dropout=0"])).identity
    assert default.identity != plan(seqbench.compose([*TASK, "logger=none", "model.dropout=0.1"])).identity
