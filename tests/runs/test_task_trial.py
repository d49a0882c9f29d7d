"""The trial of a user's own task: one sentence that names the method, before anything trains."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest
import torch

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.task_trial import try_own_task
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import COLUMNS, share
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fixed import LazyTask
from seqbench.tasks.synthetic.latch import Latch
from tests.payloads import write

TINY = ("task.length=6", "task.eval_size=8", "model=rnn", "model.hidden_size=4", "batch_size=4")


class Mine(Latch):
    """A task that is not of seqbench, which options make wrong."""

    def __init__(self, fault: str = "") -> None:
        super().__init__(length=6, eval_lengths=[6, 9], eval_size=8)
        self.fault = fault
        self.asked = 0

    def train_batches(self, seed, batch_size, start=0):
        self.asked += 1
        if self.fault == "curriculum" and self.asked > 2:
            start += 1
        if self.fault == "ends":
            return islice(super().train_batches(seed, batch_size, start), 1)
        if self.fault == "seeds":
            torch.manual_seed(seed)
        shift = {"counts": self.asked, "stays": -start}.get(self.fault, 0)
        return super().train_batches(seed, batch_size, start + shift)

    def test(self, length):
        if self.fault == "global" and length == 9:
            random.random()
        if self.fault == "numpy" and length == 9:
            np.random.rand()
        return super().test(length)

    def measure(self, outputs, batch):
        self.asked += 1
        measures = super().measure(outputs, batch)
        values, weights = measures["loss"]
        if self.fault == "noise":
            return measures | {"correct": (values * self.asked, weights)}
        if self.fault == "late" and batch.inputs.shape[1] == 9:
            return measures | {"extra": (values, weights)}
        if self.fault == "lossless":
            return {"correct": (values, weights)}
        if self.fault == "shape":
            return measures | {"loss": (values, weights[:1].expand(3))}
        if self.fault.startswith("open_"):
            return measures | {self.fault: (values, weights)}
        return measures

    def summary(self, metrics):
        return metrics | ({"lr": 0.5} if self.fault == "lr" else {})

    def baseline_loss(self, length):
        return [][0] if self.fault == "baseline" else super().baseline_loss(length)

    def solved(self, metrics):
        return metrics["acuracy" if self.fault == "solved" else "accuracy"] > 0.9


AGAIN = "gives something else when it is asked for again; it must follow from its arguments alone, or "
GLOBAL = "draws from a global generator of torch, NumPy or Python, or seeds it, and so changes what a model"


def tried(task) -> str:
    """Return what the trial of a task says; no generator moves."""
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())
    try:
        try_own_task(task, 4)
    except ConfigError as error:
        return str(error)
    finally:
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (random.getstate(), repr(np.random.get_state())) == before[1:]
    return ""


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("", ""),
        ("counts", f"Mine.train_batches(0, 4) {AGAIN}"),
        ("ends", "Mine.train_batches(0, 4, start=1) ends after 0 batches; they go on without end."),
        ("seeds", f"Mine.train_batches(0, 4) {GLOBAL}"),
        ("global", f"Mine.test(9) {GLOBAL}"),
        ("numpy", f"Mine.test(9) {GLOBAL}"),
        ("stays", "Mine.train_batches(0, 4, start=1) does not go on as a run does that began before, so "),
        ("noise", f"Mine.measure of outputs (8, 2) on validation() {AGAIN}"),
        ("lossless", "Mine.measure of outputs (8, 2) on validation() has no 'loss', which decides whether "),
        ("shape", "Mine.measure of outputs (8, 2) on validation() fails with RuntimeError: "),
        (
            "late",
            "Mine has 'extra' for a metric and declares loss, accuracy, correct; declare it in `extra_m",
        ),
        ("open_accuracy", "Mine has a metric 'open_accuracy', a name that is taken in the records "),
        ("lr", "Mine has a metric 'lr', a name that is taken in the records of a run; give it another."),
        ("baseline", "Mine.baseline_loss(6) fails with IndexError: "),
        ("solved", "Mine.solved of loss, accuracy, correct fails with KeyError: 'acuracy'."),
    ],
)
def test_a_task(fault, sentence):
    told = tried(Mine(fault))
    assert told.startswith(sentence) if sentence else told == ""


@pytest.mark.parametrize("name", [*COLUMNS, "open_loss", "closed_correct", "gap_loss", "beside_x"])
def test_a_metric_has_the_name_of_no_other_quantity(name):
    task = Mine()
    task.extra_metrics = (share("correct"), share(name))
    assert tried(task).startswith(f"Mine has a metric {name!r}, a name ")


def test_the_headline_metric_must_be_declared():
    task = Mine()
    task.metric = "f1"
    assert tried(task).startswith("Mine has 'f1' for a metric and declares loss, accuracy, correct; ")


def test_the_trial_is_before_anything_trains(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    write(
        "labtask.py",
        "from seqbench.tasks.synthetic.latch import Latch\n\n\nclass Own(Latch):\n    metric = 'f1'\n",
    )
    cfg = seqbench.compose(["task=latch", "task._target_=labtask.Own", "allowed_packages=[labtask]", *TINY])
    with pytest.raises(ConfigError, match=r"^Own has 'f1' for a metric and declares loss, "):
        seqbench.train(cfg)
    assert not (tmp_path / "runs").exists()


def test_data_of_one_example_are_tried_with_one():
    class One(LazyTask):
        title, contents, variant, solved_when = "one word", "words of {} letters", "one", None
        inputs, targets = Tokens(3), Classes(2, per_step=False)

        def longest(self):
            return 3

        def read_split(self, split):
            return Batch(torch.tensor([[0, 1, 2]]), torch.tensor([1]))

        def solved(self, metrics):
            return False

    try_own_task(One(), 1)
    with pytest.raises(ConfigError, match="batch_size=2 is more than the 1 training examples there are"):
        try_own_task(One(), 2)


class Rows(LazyTask):
    """Data that are not of seqbench, which options make wrong."""

    title, contents, variant, solved_when = "rows", "rows of {} steps", "rows", None
    inputs, targets = Tokens(9), Classes(2, per_step=False)

    def __init__(self, fault: str = "") -> None:
        self.fault, self.order = fault, list(range(9))

    def longest(self):
        return 3

    def read_split(self, split):
        return Batch(torch.arange(9)[:, None].expand(9, 3), torch.arange(9) % 2)

    def train_batches(self, seed, batch_size, start=0):
        if not self.fault:
            yield from super().train_batches(seed, batch_size, start)
        epoch, skip = divmod(start, self.epoch_steps(batch_size))
        while True:
            for i in range(skip, self.epoch_steps(batch_size)):
                yield self.train.select(torch.tensor(self.order[i * batch_size : (i + 1) * batch_size]))
            if self.fault == "shuffles":
                random.shuffle(self.order)
            epoch, skip = epoch + 1, (skip if self.fault == "skips" else 0)

    def solved(self, metrics):
        return False


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("", ""),
        ("shuffles", f"Rows.train_batches(0, 2, start=1) {GLOBAL}"),
        (
            "skips",
            "Rows.train_batches(0, 2, start=1) does not go on as a run does that began before, so that ",
        ),
    ],
)
def test_data_are_tried_beyond_an_epoch(fault, sentence):
    task = Rows(fault)
    before = random.getstate()
    if sentence:
        with pytest.raises(ConfigError) as caught:
            try_own_task(task, 2)
        assert str(caught.value).startswith(sentence)
    else:
        try_own_task(task, 2)
    assert random.getstate() == before


class Prepared(Latch):
    """Sets up in `prepare`, measures a loop of its own and a variance, and has a metric `gap_rate`."""

    extra_metrics = (share("correct"), share("gap_rate"), share("r2"))

    def prepare(self, batch_size):
        assert batch_size % 4 == 0
        self.table = 1

    def train_batches(self, seed, batch_size, start=0):
        assert self.table and batch_size % 4 == 0
        return super().train_batches(seed, batch_size, start)

    def measure(self, outputs, batch):
        its = super().measure(outputs, batch)
        return its | {"gap_rate": its["correct"]}

    def summary(self, metrics):
        return metrics | {"r2": 1 - metrics["loss"] / 0.0}

    def solved(self, metrics):
        return metrics["closed_loss"] < 0.1


def test_an_honest_task_is_not_refused():
    try_own_task(Prepared(length=6, eval_size=8), 4)


@pytest.mark.parametrize(
    "task",
    [
        *("latch", "adding", "mqar", "ntm_copy", "time_warp", "mackey_glass", "narma10", "sum_of_sines"),
        *("embedded_reber", "continual_reber", "bracket_matching", "stories", "random_permutation"),
    ],
)
def test_tasks_of_seqbench_stand_the_trial(task, monkeypatch):
    built = seqbench.build_task(seqbench.compose([f"task={task}"]))
    monkeypatch.setattr(type(built), "__module__", "elsewhere")
    assert tried(built) == ""
