"""The Lightning module: any model, with any number of seeds, on any task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import takewhile
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor, nn

from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.training.batches import TrainingStream
from seqbench.training.carried import Leaves
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.parts import Processes, share
from seqbench.training.passes import Pass
from seqbench.training.seed_stack import WIDTH
from seqbench.training.workers import Workers


class SequenceLearner(L.LightningModule):
    """Trains the models of several seeds on a task, all at the same step.

    A call of `training_step` takes several optimisation steps, which share Lightning's overhead; nothing in
    it waits for the device. Only where callbacks or other processes take part does it take a single step,
    through Lightning.

    Args:
        models: those of the seeds.
        task: what they learn.
        config: how they are optimised.
        max_steps: the last step.
        vectorized: whether seeds share a pass, `WIDTH` at most, and do not have one each.
        accumulate: see `Update`.
        workers: through which the passes go.

    Attributes:
        models: of the seeds that train, in order.
        passes: what they go through.
        step: optimisation steps taken.
        stream: where the training batches come from, to be set before training.
        resumed: for each model, the checkpoint to continue from.
        best_weights: for each model, the weights to test; empty tests the models as they are.
        evaluation: metrics of the last evaluation, `{metric: value}` for each model.
        tested: for each model, metrics of the test sets, one dict for each of the task's `eval_lengths`.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        task: Task,
        config: OptimizerConfig,
        max_steps: int,
        *,
        vectorized: bool = False,
        accumulate: int = 1,
        workers: Workers | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.models = nn.ModuleList(models)
        self.passes: list[Pass] = []
        self.task = task
        self.max_steps = max_steps
        self.step = 0
        self.workers = workers or Workers(1)
        self.evaluation: list[dict[str, float]] = []
        self.tested: list[list[dict[str, float]]] = []
        self.stream: TrainingStream
        self.resumed: list[dict[str, Any]] = []
        self.best_weights: list[dict[str, Tensor]] = []
        self._width = WIDTH if vectorized else 1
        self._make_pass = partial(
            Pass, task=task, config=config, max_steps=max_steps, stacked=vectorized, accumulate=accumulate
        )

    def per_pass(self, values: Iterable[Any]) -> list[list[Any]]:
        """Return what belongs to the seeds, in order, for each pass."""
        values = list(values)
        return [values[i : i + self._width] for i in range(0, len(values), self._width)]

    # Training

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        # Only now are the models on their device and of their type.
        if self.resumed:
            for model, checkpoint in zip(self.models, self.resumed, strict=True):
                model.load_state_dict(checkpoint["model"])
        self.passes = [self._make_pass(models) for models in self.per_pass(self.models)]
        if self.resumed:
            states = self.per_pass(checkpoint["optimizer"] for checkpoint in self.resumed)
            for each, its in zip(self.passes, states, strict=True):
                each.load_optimizer_states(its)
            if self.task.streams:
                carried = self.per_pass(checkpoint["carried"] for checkpoint in self.resumed)
                for each, leaves in zip(self.passes, carried, strict=True):
                    each.carried.load(leaves)
        self.resumed = []
        return [each.optimizer for each in self.passes]

    def on_train_start(self) -> None:
        add = partial(self.trainer.strategy.reduce, reduce_op="sum")
        for each in self.passes:
            each.update.processes = Processes(self.global_rank, self.trainer.world_size, cast(Any, add))

    def optimizer_states(self) -> list[dict[str, Any]]:
        """Return the optimiser's state for each seed, as if it were alone."""
        return [state for each in self.passes for state in each.optimizer_states()]

    def carried_states(self) -> list[Leaves]:
        """Return for each seed the state that its next step goes on from; all processes must call it."""
        return [leaves for each in self.passes for leaves in each.carried.states()]

    @property
    def rates(self) -> list[float]:
        """The learning rate of the last step, for each model."""
        return [each.rate for each in self.passes for _ in each.models]

    def select(self, seeds: Sequence[int]) -> None:
        """Continue with these of the seeds alone."""
        rows, passes, first = [], [], 0
        for each in self.passes:
            mine = [k - first for k in seeds if first <= k < first + len(each.models)]
            first += len(each.models)
            rows.append(mine)
            if len(mine) == len(each.models):
                passes.append(each)
            elif mine:
                states, carried = each.optimizer_states(), each.carried.states()
                smaller = self._make_pass([each.models[k] for k in mine])
                smaller.load_optimizer_states([states[k] for k in mine])
                smaller.carried.load([carried[k] for k in mine])
                passes.append(smaller)
        self.stream.select(rows)
        self.models = nn.ModuleList(self.models[k] for k in seeds)
        self.passes = passes
        self.trainer.strategy.optimizers = [each.optimizer for each in passes]

    def training_step(
        self, batches: Batch | list[Iterable[Batch]], batch_idx: int
    ) -> dict[str, Tensor] | None:
        if isinstance(batches, Batch):
            (one,) = self.passes
            self.step += one.train([batches], self.step, cast(Any, self.optimizers()), self._backward)
            return None if one.last is None else {"loss": one.last[0]}  # for the user's callbacks

        def train(which: tuple[Pass, Iterable[Batch]]) -> int:
            its, given = which
            return its.train(takewhile(lambda _: not self.workers.stopping, given), self.step)

        self.step += self.workers.map(train, zip(self.passes, batches, strict=True))[0]
        return None

    def _backward(self, loss: Tensor) -> None:
        # Lightning would average gradients over processes in each pass; the update adds them up once a step.
        strategy = self.trainer.strategy
        alone = strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext()
        with alone:
            self.manual_backward(loss)

    def take_training_means(self) -> list[dict[str, float]]:
        """Return the mean loss and gradient norm, for each model, of the steps since the last call."""
        return [means for each in self.passes for means in each.take_means()]

    # Evaluation

    def on_validation_epoch_start(self) -> None:
        for each in self.passes:
            each.update.before_evaluation()

    def on_test_start(self) -> None:
        if self.best_weights:
            for model, weights in zip(self.models, self.best_weights, strict=True):
                model.load_state_dict(weights)
        # The models may have moved since they were trained, or be fewer.
        self.passes = [self._make_pass(models) for models in self.per_pass(self.models)]

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._measure(batch, dataloader_idx)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._measure(batch, dataloader_idx)

    def _measure(self, batch: Batch, index: int) -> None:
        """Add what is measured on a batch to the sums of the `index`-th set."""
        rows = share(len(batch.inputs), self.global_rank, self.trainer.world_size)
        mine = batch.rows(rows.start, rows.stop)
        counts = len(mine.inputs) > 0
        if not counts:  # fewer sequences than processes: this one measures a row that does not count
            mine = batch.rows(0, 1)
        self.workers.map(lambda each: each.measure(mine, index, counts), self.passes)

    def on_validation_epoch_end(self) -> None:
        self.evaluation = [first for first, *_ in self._metrics()]
        if len(self.models) == 1:  # for the user's callbacks, which read trainer.callback_metrics
            self.log_dict({f"val_{name}": value for name, value in self.evaluation[0].items()}, logger=False)

    def on_test_epoch_end(self) -> None:
        self.tested = self._metrics()

    def _metrics(self) -> list[list[dict[str, float]]]:
        """Return the metrics of each set, for each seed."""
        add = cast(Any, partial(self.trainer.strategy.reduce, reduce_op="sum"))
        return [metrics for each in self.passes for metrics in each.take_metrics(add)]
