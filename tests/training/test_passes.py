"""A pass: what its steps compute with."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import seqbench
from seqbench.config.build import build_optimizer_config
from seqbench.tasks.batch import Batch
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.passes import Pass

LATCH = ("task=latch", "task.length=6", "model=leaky_rnn", "model.hidden_size=5", "optim.lr=0.1")


def weights_after(steps_per_context: int) -> list[torch.Tensor]:
    """Return the weights after four steps in mixed precision, so many of them under one autocast."""
    cfg = seqbench.compose(LATCH)
    task = seqbench.build_task(cfg)
    torch.manual_seed(0)
    its = Pass([seqbench.build_model(cfg, task)], task, build_optimizer_config(cfg), max_steps=4)
    stream = task.train_batches(0, 5)
    for step in range(0, 4, steps_per_context):
        with torch.autocast("cpu", torch.bfloat16):
            assert its.train([next(stream) for _ in range(steps_per_context)], step) == steps_per_context
    return [parameter.detach() for parameter in its.together.parameters()]


def test_in_mixed_precision_a_step_computes_with_the_weights_of_the_last_one() -> None:
    """Autocast keeps its casts of weights until it ends; a call of Lightning's takes several steps in one."""
    for ours, expected in zip(weights_after(4), weights_after(1), strict=True):
        assert torch.equal(ours, expected)


def test_the_means_are_of_the_steps_since_the_last_ones() -> None:
    cfg = seqbench.compose(LATCH)
    task = seqbench.build_task(cfg)
    its = Pass([seqbench.build_model(cfg, task)], task, build_optimizer_config(cfg), max_steps=4)
    assert its.take_means() == [{}]
    stream, found = task.train_batches(0, 5), []
    for step in range(3):
        its.train([next(stream)], step)
        found.append(its.last)
    (means,) = its.take_means()
    assert [means["train_loss"], means["gradient_norm"]] == (sum(found) / 3).tolist()
    assert its.take_means() == [{}]


def test_a_batch_in_which_no_target_counts_has_no_loss_and_moves_nothing() -> None:
    cfg = seqbench.compose(["task=narma10", "task.length=12", "model=leaky_rnn", "optim=sgd", "optim.lr=0.1"])
    task = seqbench.build_task(cfg)
    assert task.targets.per_step
    one = next(task.train_batches(0, 4))
    some = Batch(one.inputs, one.targets, mask=torch.arange(12).expand(4, 12) > 8)
    none = Batch(one.inputs, one.targets, mask=torch.zeros(4, 12, dtype=torch.bool))
    found = []
    for batches in ([none, some, none], [some], [none]):
        torch.manual_seed(0)
        model = seqbench.build_model(cfg, task)
        its = Pass([model], task, build_optimizer_config(cfg), max_steps=3)
        its.train(batches, 0)
        found.append((its.take_means()[0], torch.cat([p.detach().flatten() for p in model.parameters()])))
    torch.manual_seed(0)
    start = torch.cat([p.detach().flatten() for p in seqbench.build_model(cfg, task).parameters()])
    (between, after), (alone, expected), (nothing, same) = found
    assert between == alone and alone["train_loss"] > 0 and torch.equal(after, expected)
    assert nothing == {} and torch.equal(same, start)
    with pytest.raises(ValueError, match="no target of the evaluated set counts"):
        its.measure(none, 0)
        its.take_metrics(lambda total: total)


class Grouped(torch.optim.SGD):
    """The readout has a hundredth of the rate, and its bias none."""

    def __init__(self, params: list[torch.nn.Parameter], lr: float, weight_decay: float) -> None:
        *body, weight, bias = params
        groups = [{"params": body}, {"params": [weight], "lr": lr / 100}, {"params": [bias], "lr": 0.0}]
        super().__init__(groups, lr=lr, weight_decay=weight_decay)


def test_each_group_of_parameters_has_its_share_of_the_rate() -> None:
    cfg = seqbench.compose(LATCH)
    task = seqbench.build_task(cfg)
    config = OptimizerConfig(Grouped, lr=0.5, schedule="linear", warmup_steps=2, clip_norm=None)
    torch.manual_seed(0)
    its = Pass([seqbench.build_model(cfg, task)], task, config, max_steps=6)
    for step, batch in enumerate(next(task.train_batches(0, 5)) for _ in range(6)):
        if step == 3:  # as after a checkpoint
            its.load_optimizer_states(its.optimizer_states())
        *body, weight, bias = its.together.parameters()
        before = [parameter.detach().clone() for parameter in (body[0], weight, bias)]
        its.train([batch], step)
        rate = config.lr_at(step, 6)
        assert its.rate == rate
        for parameter, old, share in zip((body[0], weight, bias), before, (1, 0.01, 0), strict=True):
            torch.testing.assert_close(parameter.detach(), old - share * rate * parameter.grad)


def test_means_of_many_steps_are_those_of_single_precision() -> None:
    """In bfloat16 a sum grows no more from 256 times what is added on."""
    cfg = seqbench.compose([*LATCH, "optim.lr=1e-9"])
    task = seqbench.build_task(cfg)
    its = Pass([seqbench.build_model(cfg, task).bfloat16()], task, build_optimizer_config(cfg), max_steps=600)
    batch = next(task.train_batches(0, 5))
    its.train([Batch(batch.inputs.bfloat16(), batch.targets)] * 600, 0)
    loss, norm = its.last.tolist()
    assert its.last.dtype == torch.bfloat16
    assert list(its.take_means()[0].values()) == pytest.approx([loss, norm], rel=1e-3)


def test_what_counts_nothing_adds_nothing_to_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = seqbench.compose(LATCH)
    task = seqbench.build_task(cfg)
    its = Pass([seqbench.build_model(cfg, task)], task, build_optimizer_config(cfg), max_steps=1)
    undefined, weights = torch.tensor([math.inf, 0.25, math.nan, 0.75]), torch.tensor([0.0, 1.0, 0.0, 3.0])
    monkeypatch.setattr(task, "measure", lambda outputs, batch: {"loss": (undefined, weights)})
    its.measure(next(task.train_batches(0, 4)), 0)
    assert its.take_metrics(lambda sums: sums) == [[{"loss": 0.625}]]


@pytest.mark.parametrize(("right", "count"), [(990, 1000), (950, 1000), (50, 1000), (1987, 2000)])
def test_a_share_is_the_quotient_of_its_counts(right: int, count: int) -> None:
    """In single precision 990 of 1,000 is more than 0.99, and 950 less than 0.95."""
    cfg = seqbench.compose(LATCH)
    task = seqbench.build_task(cfg)
    its = Pass([seqbench.build_model(cfg, task)], task, build_optimizer_config(cfg), max_steps=1)
    its.sums = [{"accuracy": torch.tensor([float(right), float(count)])}]
    ((metrics,),) = its.take_metrics(lambda total: total)
    assert metrics["accuracy"] == right / count


def test_the_gap_between_the_loops_is_over_the_same_steps() -> None:
    cfg = seqbench.compose(["task=sum_of_sines", "task.variant=continue", "model=gru", "task.eval_size=9"])
    task = seqbench.build_task(cfg)
    model = seqbench.build_model(cfg, task)
    its, batch = Pass([model], task, build_optimizer_config(cfg), max_steps=1), task.validation()
    with torch.inference_mode():
        its.measure(batch, 0)
        opened = model(batch.inputs)[0]
        last = slice(-task.horizon, None)
        error = task.measure(
            opened[:, last], batch.time_slice(opened.shape[1] - task.horizon, opened.shape[1], per_step=True)
        )
    ((metrics,),) = its.take_metrics(lambda total: total)
    values, weights = error["nmse"]
    beside = (values * weights).sum().item() / weights.sum().item()
    assert metrics["gap_nmse"] == pytest.approx(metrics["closed_nmse"] - beside, abs=1e-6)
    assert metrics["gap_nmse"] != pytest.approx(metrics["closed_nmse"] - metrics["nmse"], abs=1e-6)
    assert {"nmse", "closed_nmse", "gap_nmse", "gap_nrmse"} <= metrics.keys() and "beside_nmse" not in metrics


@pytest.mark.parametrize("target", ["y", "z"])
def test_what_is_measured_does_not_hang_on_the_parts_of_an_evaluation(target: str) -> None:
    """Of rows of 1 to 9 steps, in their order and padded to 9, or by length; a label a row, or a step."""
    rows = [
        f"{i},{t},{i % 7 + t},{'ab'[i % 2]},{'pqr'[(i + t) % 3]}" for i in range(60) for t in range(1 + i % 9)
    ]
    Path("data.csv").write_text("\n".join(["id,t,x,y,z", *rows]))
    of_table = ["task=table", "task.path=data.csv", "task.id=id", "task.time=t", "task.inputs=[x]"]
    of_model = ["model=gru", "model.hidden_size=4", "model.bidirectional=true"]
    cfg = seqbench.compose([*of_table, f"task.target={target}", *of_model])
    task = seqbench.build_task(cfg)
    model = seqbench.build_model(cfg, task)
    whole = task.read_split("train")
    found = []
    for parts in ([whole], whole.split(7), task.parts(whole, 7)):
        mine = Pass([model], task, OptimizerConfig(torch.optim.Adam, 0.01), max_steps=1)
        with torch.inference_mode():
            for part in parts:
                mine.measure(part, 0)
        found.append(mine.take_metrics(lambda total: total)[0][0])
    assert sum(part.inputs.numel() for part in task.parts(whole, 7)) < 0.7 * whole.inputs.numel()
    assert found[1] == pytest.approx(found[0], rel=1e-6) and found[2] == pytest.approx(found[0], rel=1e-6)
