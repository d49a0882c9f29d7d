"""The state that a learner carries through streams: per seed, in the checkpoint, anew each epoch."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_leaves

import seqbench
from seqbench.config.build import build_optimizer_config
from seqbench.runs.differences import differences
from seqbench.training.parts import Processes
from seqbench.training.passes import Pass
from seqbench.training.seed_stack import stack_batches
from tests.runs.test_company import folder, stopped_at, train

TEXT = "the quick brown fox jumps over the lazy dog\n" * 30
SMALL = ["task=text", "task.path=book.txt", "task.length=6", "batch_size=5", "model.hidden_size=7"]
RUN = [*SMALL, "task.validation_streams=3", "logger=none", "trainer.progress=false", "trainer.max_steps=50"]
RUN += ["trainer.eval_every=8", "trainer.checkpoint_every=8", "trainer.stop_when_solved=false"]


@pytest.fixture(autouse=True)
def book() -> None:
    Path("book.txt").write_text(TEXT)


def pass_of(*overrides: str, models: int = 1, **options) -> Pass:
    cfg = seqbench.compose([*SMALL, *overrides])
    task = seqbench.build_task(cfg)
    made = []
    for seed in range(models):
        torch.manual_seed(seed)
        made.append(seqbench.build_model(cfg, task))
    return Pass(made, task, build_optimizer_config(cfg), max_steps=50, **options)


def test_a_step_goes_on_from_the_state_of_the_step_before():
    its = pass_of("model=lstm", "optim.lr=1e-12")  # the weights stay what they are
    stream = its.task.train_batches(0, 5)
    batches = [next(stream) for _ in range(3)]
    model = copy.deepcopy(its.models[0])
    its.train(batches, 0)
    _, expected = model(torch.cat([batch.inputs for batch in batches], dim=1))
    (found,) = its.update.carried
    for mine, whole in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        torch.testing.assert_close(mine, whole, rtol=0, atol=1e-5)
        assert not mine.requires_grad


def test_the_state_begins_anew_with_an_epoch():
    its = pass_of("model=gru", "optim.lr=1e-12")
    steps = its.task.epoch_steps(5)
    stream = its.task.train_batches(0, 5)
    its.train([next(stream) for _ in range(steps)], 0)
    first, loss = its.update.carried, its.last
    its.train([next(stream)], steps)
    fresh = pass_of("model=gru", "optim.lr=1e-12")
    fresh.train([next(fresh.task.train_batches(0, 5))], 0)
    torch.testing.assert_close(its.last[0], fresh.last[0])
    assert loss is not None and first


def test_slices_and_parts_of_a_batch_carry_it_too():
    whole = pass_of("model=lstm", "optim.lr=1e-12")
    parts = pass_of("model=lstm", "optim.lr=1e-12", "optim.truncate=4", accumulate=2)
    for its in (whole, parts):
        stream = its.task.train_batches(0, 5)
        its.train([next(stream) for _ in range(4)], 0)
    assert len(parts.update.carried) == 2
    torch.testing.assert_close(whole.last[0], parts.last[0])
    for mine, other in zip(whole.carried.states()[0], parts.carried.states()[0], strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)


def test_processes_have_the_rows_of_their_shares():
    whole = pass_of("model=lstm", "optim.lr=1e-12")
    stream = whole.task.train_batches(0, 5)
    batches = [next(stream) for _ in range(3)]
    whole.train(batches[:2], 0)
    (state,) = whole.carried.states()
    shards = []
    for rank in range(2):
        mine = pass_of("model=lstm", "optim.lr=1e-12")
        mine.update.processes = Processes(rank, 2, lambda value: value)
        mine.carried.load([state])
        mine.carried.before_step(batches[2], 2)
        shards.append(mine)
    first, second = (tree_leaves(its.update.carried) for its in shards)
    for leaf, a, b in zip(state, first, second, strict=True):
        assert (len(a), len(b)) == (2, 3)
        assert torch.equal(torch.cat([a, b]), leaf)
    gathered = [its.carried.states()[0] for its in shards]  # each has zeros in the other's rows
    for leaf, a, b in zip(state, *gathered, strict=True):
        assert torch.equal(a + b, leaf)


def test_a_stack_of_seeds_carries_the_state_of_each():
    alone = [pass_of("model=leaky_rnn", models=2).models[k] for k in range(2)]
    together = pass_of("model=leaky_rnn", models=2, stacked=True)
    stream = together.task.train_batches(0, 5)
    batches = [next(stream) for _ in range(3)]
    together.train([stack_batches([batch, batch]) for batch in batches], 0)
    for model, state in zip(alone, together.carried.states(), strict=True):
        its = Pass([model], together.task, together.config, max_steps=50)
        its.train(batches, 0)
        for mine, other in zip(state, its.carried.states()[0], strict=True):
            torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)
    again = pass_of("model=leaky_rnn", models=2, stacked=True)
    again.carried.load(together.carried.states())
    again.carried.before_step(stack_batches(batches[:2]), 3)
    for mine, other in zip(again.carried.states(), together.carried.states(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))


@pytest.mark.parametrize("model", [["model=lstm"], ["model=lru"], ["model=output_rnn"]], ids=" ".join)
def test_a_stopped_run_goes_on_bit_for_bit(model, monkeypatch):
    train(*RUN, *model, "runs_dir=whole")
    with stopped_at(24, monkeypatch):
        train(*RUN, *model, "runs_dir=stopped")
    train(*RUN, *model, "runs_dir=stopped")
    assert differences(folder("whole", 0), folder("stopped", 0)) == []


@pytest.mark.slow
def test_seeds_in_company_are_what_they_are_alone():
    train(*RUN, "model=gru", "n_seeds=3", "runs_dir=together")
    for seed in range(3):
        train(*RUN, "model=gru", f"seed={seed}", "runs_dir=alone")
        assert differences(folder("alone", seed), folder("together", seed)) == []
