"""The user's callbacks: each seed has its own, they see every step, and they may change nothing."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, StochasticWeightAveraging, Timer

import seqbench
from seqbench.errors import ConfigError
from seqbench.models.unfold import Cell
from seqbench.tasks.synthetic.latch import Latch

TINY = ["task=latch", "task.length=5", "task.eval_size=20", "model=rnn", "model.hidden_size=4"]
TINY += ["batch_size=4", "trainer.max_steps=6", "trainer.eval_every=3", "logger=none"]


def train(*overrides: str, callbacks=()) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose([*TINY, *overrides]), callbacks=callbacks)


class Steps(L.Callback):
    """Keeps a weight after every optimisation step."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self.weights: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, *rest) -> None:
        self.weights.append(next(pl_module.parameters()).flatten()[0].item())


def test_a_callback_sees_every_step_of_its_own_seed() -> None:
    made: list[Steps] = []

    def make(seed: int) -> Steps:
        made.append(Steps(seed))
        return made[-1]

    results = train("n_seeds=2", callbacks=[make])
    plain = train("n_seeds=2", "runs_dir=plain")
    assert [r.validation for r in results] == [r.validation for r in plain]
    assert [callback.seed for callback in made] == [0, 1]
    assert all(len(callback.weights) == len(set(callback.weights)) == 6 for callback in made)
    assert made[0].weights != made[1].weights
    one = Steps()
    train("seed=1", "runs_dir=alone", callbacks=[one])
    assert one.weights == made[1].weights


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (EarlyStopping("val_loss"), "EarlyStopping acts on training.*trainer.stop_when_solved"),
        (Timer("00:00:01:00"), "Timer acts on training.*trainer.max_steps"),
        (ModelCheckpoint(), "ModelCheckpoint acts on training.*seqbench keeps the best weights"),
        (StochasticWeightAveraging(1e-2), "StochasticWeightAveraging acts on training.*changes the weights"),
    ],
)
def test_callbacks_that_act_are_refused_before_training(callback, words, tmp_path) -> None:
    with pytest.raises(ConfigError, match=words):
        train(callbacks=[callback])
    assert not list(tmp_path.iterdir())


class Acts(L.Callback):
    def __init__(self, action) -> None:
        self.action = action

    def on_train_batch_end(self, trainer, pl_module, *rest) -> None:
        self.action(trainer, pl_module)


def rush(trainer, module) -> None:
    module.max_steps = 2


def forget(trainer, module) -> None:
    for state in trainer.optimizers[0].state.values():
        state["exp_avg"].zero_()


def stop(trainer, module) -> None:
    trainer.should_stop = True


def spoil(trainer, module) -> None:
    next(module.parameters()).data.add_(1.0)


def drop(trainer, module) -> None:
    next(module.parameters()).grad = None


def hurry(trainer, module) -> None:
    trainer.optimizers[0].param_groups[0]["lr"] = 1.0


def decay(trainer, module) -> None:
    trainer.optimizers[0].param_groups[0]["betas"] = (0.5, 0.5)


def freeze(trainer, module) -> None:
    next(module.parameters()).requires_grad_(False)


def loosen(trainer, module) -> None:
    next(part for part in module.modules() if isinstance(part, Cell)).hidden_size = 3


def curriculum(trainer, module) -> None:
    module.task.length += 1


def another(trainer, module) -> None:
    module.task = deepcopy(module.task)


def peek(trainer, module) -> None:
    next(iter(trainer.train_dataloader))


def rename(trainer, module) -> None:
    module.task.metric = "loss"  # of the class, until now


def accept(trainer, module) -> None:
    module.task.solved = lambda metrics: True


def vectorise(trainer, module) -> None:
    next(part for part in module.modules() if isinstance(part, Cell)).vectorizable = False


def blank(trainer, module) -> None:
    for batch in trainer.val_dataloaders or []:
        batch.inputs.zero_()


def praise(trainer, module) -> None:
    for its in module.evaluation:
        its["accuracy"] = 2.0


def widen(trainer, module) -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)


def warm(trainer, module) -> None:
    module.passes[0].config.lr = 1.0


def hook(trainer, module) -> None:
    module.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (rush, "changes the number of steps"),
        (forget, "changes the optimiser's state"),
        (stop, "stops training"),
        (spoil, "changes weights"),
        (drop, "changes gradients"),
        (hurry, "changes learning rates"),
        (decay, "changes settings of the optimiser"),
        (freeze, "changes which weights are trained"),
        (loosen, "changes settings of the model"),
        (hook, "registers hooks"),
        (curriculum, "changes settings of the task"),
        (another, "changes the task"),
        (peek, "takes or changes training batches"),
        (rename, "changes settings of the task"),
        (accept, "changes settings of the task"),
        (vectorise, "changes settings of the model"),
        (blank, "changes data"),
        (praise, "changes what was measured"),
        (widen, "changes settings of torch"),
        (warm, "changes how the models are trained"),
    ],
)
def test_one_that_changes_a_run_is_refused_in_a_sentence(action, what: str) -> None:
    words = f"The callback Acts {what} in on_train_batch_end; a callback may observe a run and not change it"
    threads = torch.get_num_threads()
    with pytest.raises(ConfigError, match=words):
        train(callbacks=[Acts(action)])
    assert torch.get_num_threads() == threads
    if action not in (blank, praise):  # which have something to change after the first evaluation alone
        assert not list(Path("runs").rglob("*")), "a run that is refused leaves nothing"


def test_one_that_leaves_the_model_in_eval_changes_no_number() -> None:
    def look(trainer, module) -> None:
        module.eval()

    args = ("model.dropout=0.5", "model.num_layers=2")
    (seen,) = train(*args, callbacks=[Acts(look)])
    (plain,) = train(*args, "runs_dir=plain")
    assert seen.validation == plain.validation


def test_one_that_reads_may_do_so(monkeypatch) -> None:
    def counted(self):
        self.reads = getattr(self, "reads", 0) + 1
        self.kept = validation(self)
        return self.kept

    def read(trainer, module) -> None:
        module.task.validation()
        next(iter(module.task.train_batches(7, 2)))
        for batch in trainer.val_dataloaders or []:
            with torch.no_grad():
                module.models[0](batch.inputs)

    validation = Latch.validation
    (plain,) = train("runs_dir=plain")
    monkeypatch.setattr(Latch, "validation", counted)
    (seen,) = train(callbacks=[Acts(read)])
    assert seen.status != "failed" and seen.validation == plain.validation


def test_one_that_raises_stop_iteration_ends_the_run_with_an_error() -> None:
    (result,) = train(callbacks=[Acts(lambda trainer, module: next(iter(())))])
    assert result.status == "failed"
    assert "The callback Acts raises StopIteration in on_train_batch_end." in (result.error or "")


def test_one_that_takes_other_weights_for_the_best_is_refused() -> None:
    class Swaps(L.Callback):
        def on_test_epoch_start(self, trainer, pl_module) -> None:
            next(iter(pl_module.best_weights[0].values())).zero_()

    with pytest.raises(ConfigError, match="Swaps changes the best weights in on_test_epoch_start"):
        train(callbacks=[Swaps()])


def test_weights_that_are_not_a_number_are_not_a_change() -> None:
    args = ("task=adding", "task.length=8", "optim=sgd", "optim.lr=1e30", "optim.clip_norm=null")
    (result,) = train(*args, callbacks=[Steps()])
    assert result.status == "diverged" and result.steps == 3


class Draws(L.Callback):
    """Draws a random number at each step, holds a file, and logs as Lightning's callbacks do."""

    def __init__(self, file) -> None:
        self.file = file

    def on_train_batch_end(self, trainer, pl_module, outputs, *rest) -> None:
        print(torch.rand(()).item(), outputs["loss"].item(), file=self.file)
        self.log("mine", 1.0)


@pytest.mark.slow
def test_a_callback_that_draws_and_holds_a_file_changes_no_number_and_can_be_used_again() -> None:
    (plain,) = train("runs_dir=plain", "task.noise_variance=0.5")
    with Path("notes").open("w") as file:
        callback = Draws(file)
        for seed in (0, 1):
            (seen,) = train(f"seed={seed}", "task.noise_variance=0.5", callbacks=[callback])
    assert len(Path("notes").read_text().splitlines()) == 12
    (again,) = train("task.noise_variance=0.5")  # read: the run with the callback is the run without
    assert again.validation == plain.validation and seen.seed == 1


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        (Steps(), "callbacks must be a list"),
        (["x"], "callbacks holds 'x', which is no Lightning Callback"),
        ([lambda seed: 3], "A function in callbacks made 3, which is no Lightning Callback"),
        ([lambda: Steps()], "A function in callbacks must take a seed"),
    ],
)
def test_what_is_no_callback_is_refused_in_a_sentence(callbacks, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        train(callbacks=callbacks)
    assert not list(Path("runs").rglob("*"))


def test_one_that_cannot_be_copied_is_refused_for_several_seeds() -> None:
    with pytest.raises(ConfigError, match="The callback Draws cannot be copied for each seed"):
        train("n_seeds=2", callbacks=[Draws(sys.stdout)])


@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("when", ["on_train_batch_start", "on_validation_batch_start"])
def test_a_callback_that_writes_into_a_batch_is_refused(when: str, data: bool) -> None:
    class Erases(L.Callback):
        pass

    def erase(self, trainer, pl_module, batch, *rest) -> None:
        for one in batch if isinstance(batch, list) else [batch]:
            (one.inputs.data if data else one.inputs).zero_()  # the first is not counted as a change by torch

    setattr(Erases, when, erase)
    with pytest.raises(ConfigError, match=f"Erases changes a batch in {when}"):
        train(callbacks=[Erases()])


def test_a_callback_sees_the_batches_of_the_test() -> None:
    seen = []

    class Looks(L.Callback):
        def on_test_batch_start(self, trainer, pl_module, batch, *rest) -> None:
            seen.append(batch)

        def on_test_batch_end(self, trainer, pl_module, outputs, batch, *rest) -> None:
            seen.append(batch)

    (result,) = train(callbacks=[Looks()])
    assert result.status != "failed" and seen
