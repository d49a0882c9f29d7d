"""Outputs at the steps alone that count: the numbers are those of all steps."""

from __future__ import annotations

import copy

import pytest
import torch

import seqbench
from seqbench.config.build import build_optimizer_config
from seqbench.runs.differences import differences
from seqbench.tasks.batch import Batch
from seqbench.training.passes import Pass
from seqbench.training.seed_stack import WIDTH, OneModel, SeedStack, stack_batches
from tests.runs.test_company import folder, stopped_at, train

MQAR = ["task=mqar", "task.length=16", "task.pairs=3", "task.vocabulary=300", "task.eval_size=20"]
MQAR += ["model.hidden_size=5"]


def made(*overrides: str):
    cfg = seqbench.compose([*MQAR, *overrides])
    task = seqbench.build_task(cfg)
    torch.manual_seed(0)
    model = seqbench.build_model(cfg, task).double()
    full = copy.deepcopy(model)
    full.counted = None
    return cfg, task, model, full


def test_a_batch_of_counted_steps_has_them_in_order_and_others_that_do_not_count() -> None:
    mask = torch.tensor([[0, 1, 0, 1], [0, 0, 0, 1]]).bool()
    targets = torch.arange(8).view(2, 4)
    found = Batch(targets, targets, mask=mask).at_counted(2)
    assert found.extras["counted_steps"].tolist() == [[1, 3], [3, 0]]
    assert found.targets.tolist() == [[1, 3], [7, 4]] and found.mask.tolist() == [[True, True], [True, False]]
    assert torch.equal(found.inputs, targets)
    vectors = Batch(targets, torch.stack([targets, -targets], -1), mask=mask).at_counted(2)
    assert vectors.targets[1].tolist() == [[7, -7], [4, -4]]
    assert Batch(targets, targets, mask=mask).at_counted(9).targets.shape == (2, 4)


@pytest.mark.parametrize("model", ["lstm", "ntm", "min_gru"])
@pytest.mark.parametrize("truncate", ["null", "5"])
def test_losses_gradients_and_measures_are_those_of_all_steps(model: str, truncate: str) -> None:
    cfg, task, counted, full = made(f"model={model}", f"optim.truncate={truncate}")
    assert counted.counted == 3
    config, batch = build_optimizer_config(cfg), next(task.train_batches(0, 7))
    found = []
    for its in (counted, full):
        one = Pass([its], task, config, max_steps=5)
        loss = one.update.losses(batch)
        one.measure(task.validation(), 0)
        found.append((loss, [p.grad for p in its.parameters()], one.take_metrics(lambda value: value)))
    torch.testing.assert_close(found[0][:2], found[1][:2], rtol=1e-12, atol=1e-14)
    assert found[0][2][0][0] == pytest.approx(found[1][2][0][0], rel=1e-12)


def test_a_stack_of_seeds_has_those_of_each_alone() -> None:
    _, task, model, _ = made("model=lstm", "model.engine=loop")
    batches = [next(task.train_batches(seed, 4)) for seed in range(2)]
    models = [copy.deepcopy(model) for _ in batches]

    def total(outputs: torch.Tensor, state: object, mine: Batch) -> torch.Tensor:
        assert outputs.shape == (4, 3, 300)
        return (task.targets.losses(outputs, mine) * mine.mask).sum()

    alone = [OneModel(each).apply(total, batch) for each, batch in zip(models, batches, strict=True)]
    found = SeedStack(models).apply(total, stack_batches(batches))
    assert found.shape == (WIDTH,)
    torch.testing.assert_close(found[:2], torch.stack(alone), rtol=1e-12, atol=0)


def test_whoever_asks_for_no_steps_gets_all() -> None:
    _, task, model, full = made("model=gru")
    inputs = task.validation().inputs[:2]
    assert torch.equal(model(inputs)[0], full(inputs)[0]) and model(inputs)[0].shape == (2, 16, 300)


@pytest.mark.parametrize("overrides", [["task.vocabulary=255"], ["model.feedback=true"]], ids=str)
def test_of_few_symbols_and_of_models_that_are_fed_outputs_all_are_computed(overrides: list[str]) -> None:
    assert made("model=lstm", *overrides)[2].counted is None


def test_a_seed_is_the_same_alone_in_company_and_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    run = [*MQAR, "model=lstm", "batch_size=5", "logger=none", "trainer.max_steps=6", "trainer.eval_every=2"]
    run += ["trainer.checkpoint_every=2", "trainer.stop_when_solved=false"]
    train(*run, "n_seeds=2", "runs_dir=two")
    with stopped_at(4, monkeypatch):
        train(*run, "seed=1", "runs_dir=alone")
    (result,) = train(*run, "seed=1", "runs_dir=alone")
    assert differences(folder("alone", 1), folder("two", 1)) == [] and result.execution["counted"] is True
