"""What every synthetic task preset must pass."""

import math
from importlib import import_module
from itertools import islice

import pytest
import torch

import seqbench
from seqbench.config.presets import preset_names
from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Bits, Classes, Tokens
from seqbench.tasks.streams.fresh import STEPS_PER_DRAW, SyntheticTask
from seqbench.tasks.streams.mixed import MixedSizesTask

#: Every preset with its variants, and a length at which a large sample is cheap.
TASKS = {
    "adding": (["task=adding"], 10),
    "adding-anywhere": (["task=adding", "task.variant=anywhere"], 10),
    "adding-1997": (["task=adding", "task.variant='1997'"], 24),
    "associative_recall": (["task=associative_recall"], 4),
    "bracket_matching": (["task=bracket_matching"], 30),
    "bracket_matching-3": (["task=bracket_matching", "task.kinds=3"], 30),
    "continual_reber": (["task=continual_reber"], 30),
    "copy_memory": (["task=copy_memory"], 4),
    "copy_memory-12-of-5": (["task=copy_memory", "task.symbols=12", "task.alphabet=5"], 1),
    "cycle_navigation": (["task=cycle_navigation"], 30),
    "dynamic_ngrams": (["task=dynamic_ngrams"], 12),
    "embedded_reber": (["task=embedded_reber"], 12),
    "latch": (["task=latch"], 6),
    "listops": (["task=listops"], 3),
    "logic_trees": (["task=logic_trees", "task.length=6", "task.max_tokens=45"], 6),
    "mackey_glass": (["task=mackey_glass"], 100),
    "mqar": (["task=mqar", "task.vocabulary=30", "task.pairs=3"], 12),
    "mqar-random": (["task=mqar", "task.vocabulary=30", "task.pairs=3", "task.variant=random"], 12),
    "multiplication": (["task=multiplication"], 10),
    "multiplication-anywhere": (["task=multiplication", "task.variant=anywhere"], 10),
    "multiplication-1997": (["task=multiplication", "task.variant='1997'"], 24),
    "narma10": (["task=narma10"], 20),
    "noiseless_memory": (["task=noiseless_memory"], 4),
    "noiseless_memory-20bit": (["task=noiseless_memory", "task.variant=20bit"], 4),
    "ntm_copy": (["task=ntm_copy"], 4),
    "parity": (["task=parity"], 30),
    "priority_sort": (["task=priority_sort", "task.sorted=3"], 5),
    "random_permutation": (["task=random_permutation"], 3),
    "random_permutation-last": (["task=random_permutation", "task.variant=last"], 3),
    "repeat_copy": (["task=repeat_copy", "task.repeats=4"], 3),
    "reverse": (["task=reverse"], 8),
    "reverse_string": (["task=reverse_string"], 30),
    "sort_tokens": (["task=sort_tokens"], 8),
    "stories": (["task=stories"], 6),
    "stories-facts": (["task=stories", "task.types=[one_fact,two_facts,three_facts]"], 6),
    "sum_of_sines": (["task=sum_of_sines"], 20),
    "sum_of_sines-continue": (["task=sum_of_sines", "task.variant=continue"], 176),
    "temporal_order": (["task=temporal_order"], 10),
    "temporal_order-3": (["task=temporal_order", "task.symbols=3"], 10),
    "temporal_order-1997": (["task=temporal_order", "task.variant='1997'"], 10),
    "temporal_order-1997-3": (["task=temporal_order", "task.variant='1997'", "task.symbols=3"], 10),
    "time_warp": (["task=time_warp", "task.warp=4"], 40),
    "time_warp-uniform": (["task=time_warp", "task.variant=uniform", "task.warp=4"], 40),
}
every_task = pytest.mark.parametrize(("overrides", "short"), TASKS.values(), ids=TASKS)

#: Tasks of one sequence, which is there to be memorised: nothing is drawn, no splits differ, and no target
#: is a surprise. Their own tests say what they are.
MEMORISED = {"sum_of_sines"}
DRAWN = {name: task for name, task in TASKS.items() if name not in MEMORISED}
every_drawn_task = pytest.mark.parametrize(("overrides", "short"), DRAWN.values(), ids=DRAWN)

#: Presets whose training sequences have any length, down to the shortest, and how many steps a test sequence
#: of a length has at least. Short ones are few, so that they come up in several splits; long ones must not.
MIXED = {
    "bracket_matching": lambda length: length,
    "cycle_navigation": lambda length: length,
    "embedded_reber": lambda length: 8,
    "listops": lambda length: 4 * length + 1,
    "logic_trees": lambda length: 3 * length + 1,
    "parity": lambda length: length,
    "reverse_string": lambda length: 2 * length,
    "stories": lambda length: 5 * length + 4,
}
#: Presets of so few likely sequences that they come up in several splits: 32 patterns, or a birthday or two
#: among 5¹⁰; the strings of a grammar, of which one in four has one of ten short forms; sources of bits that
#: say one bit, or a few in turn, for ever.
RECURRING = {"noiseless_memory", "embedded_reber", "dynamic_ngrams"}
#: Measures that are the better the lower they are.
COSTS = {"loss", "bit_errors", "excess_bits", "error"}
#: Presets whose sequences take long to draw, and how many of them a large sample has.
DEAR = {"stories": 4_000, "listops": 4_000, "logic_trees": 4_000}


def preset(overrides: list[str]) -> str:
    return overrides[0].removeprefix("task=")


def same(a: Batch, b: Batch) -> bool:
    return all(x is y if x is None else torch.equal(x, y) for x, y in zip(a, b, strict=True))


def sequences(batch: Batch, least: float = 0) -> list[bytes]:
    """Return the inputs of each row of at least so many steps."""
    rows, steps = batch.inputs.shape[:2]
    lengths = torch.full((rows,), steps) if batch.lengths is None else batch.lengths
    return [row.numpy().tobytes() for row in batch.inputs[lengths >= least]]


def test_no_synthetic_preset_is_left_out():
    def is_synthetic(name: str) -> bool:
        module, _, task = seqbench.compose([f"task={name}"]).task["_target_"].rpartition(".")
        return issubclass(getattr(import_module(module), task), SyntheticTask)

    synthetic = set(filter(is_synthetic, preset_names("task")))
    assert synthetic == {preset(overrides) for overrides, _ in TASKS.values()}


@every_drawn_task
def test_training_batches_follow_from_the_seed_alone(make_task, overrides, short):
    def first(seed):
        return list(islice(make_task(*overrides, f"task.length={short}").train_batches(seed, 8), 3))

    batches = first(0)
    torch.manual_seed(123)  # the global generator plays no part
    assert all(map(same, batches, first(0)))
    assert not any(map(same, batches, first(1)))
    assert not same(batches[0], batches[1])


@every_task
def test_a_stream_resumes_at_any_step(make_task, overrides, short):
    task = make_task(*overrides, f"task.length={short}")
    batches = list(islice(task.train_batches(3, 4), 2 * STEPS_PER_DRAW + 2))
    for start in (1, STEPS_PER_DRAW - 1, STEPS_PER_DRAW, STEPS_PER_DRAW + 1, 2 * STEPS_PER_DRAW):
        resumed = list(islice(task.train_batches(3, 4, start=start), 2))
        assert all(map(same, resumed, batches[start : start + 2]))


@every_drawn_task
def test_splits_are_fixed_and_disjoint(make_task, overrides, short):
    task, twin = make_task(*overrides), make_task(*overrides)
    assert same(task.validation(), twin.validation()) and same(task.test(task.length), twin.test(task.length))
    train = list(islice(task.train_batches(0, 64), 20))
    splits = [*train, task.validation(), task.test(task.length)]
    assert [len(split.inputs) for split in splits] == [64] * 20 + [task.eval_size] * 2
    if preset(overrides) in RECURRING:
        assert not same(*(split.rows(0, 64) for split in splits[-2:]))
        return
    least = 0.75 * task.steps if preset(overrides) in MIXED or isinstance(task, MixedSizesTask) else 0
    found = [row for split in splits for row in sequences(split, least)]
    assert len(set(found)) == len(found) > (500 if least else 1280)


@every_drawn_task
def test_baseline_loss_is_that_of_the_best_constant(make_task, overrides, short):
    """A constant for each target, fitted to 100 000 sequences (fewer long ones), loses as much on others."""
    task: SyntheticTask = make_task(*overrides, f"task.length={short}")
    n = DEAR.get(preset(overrides), min(100_000, 1_200_000 // short))
    fitted, fresh = (task.sample(torch.Generator().manual_seed(seed), n, short) for seed in (1, 2))
    if isinstance(task.targets, Classes):
        counted = torch.nn.functional.one_hot(fitted.targets, task.targets.size)
        if fitted.mask is not None:
            counted *= fitted.mask[..., None]
        total = counted.sum(0)
        share = total.double() / total.sum(-1, keepdim=True).clamp_min(1)
        constant = share.clamp_min(1e-12).log()
        free = int((share > 0).sum() - (share > 0).any(-1).sum())
    elif isinstance(task.targets, Bits):
        share = fitted.targets.double().mean(0)
        constant = share.logit(eps=1e-12)
        free = int(((share > 0) & (share < 1)).any(-1).sum())
    else:
        constant, free = fitted.targets.double().mean(0), 1
    values, weights = task.measure(constant.expand(n, *constant.shape), fresh)["loss"]
    assert fresh.mask is not None or weights.all()
    # What the targets of each sequence lose, and how many they are; the loss is the mean over all of them.
    losses, counts = ((part * weights).reshape(n, -1).sum(1) for part in (values, torch.ones_like(values)))
    mean = losses.sum() / counts.sum()
    spread = ((losses - mean * counts) / counts.mean()).std()
    # What fitting costs: half of `free / n`. A baseline off by 5 % fails.
    tolerance = 4 * spread.item() / n**0.5 + free / n
    assert tolerance < 0.025 * mean
    assert task.baseline_loss(short) == pytest.approx(mean.item(), abs=tolerance)


@every_task
@pytest.mark.parametrize("eval_size", [1, 5])
def test_batches_are_as_the_specs_say(make_task, overrides, short, eval_size):
    task = make_task(*overrides, f"task.eval_size={eval_size}")
    for batch, rows in [(next(task.train_batches(0, 3)), 3), (task.validation(), eval_size)]:
        assert len(batch.inputs) == rows
        if isinstance(task.inputs, Tokens):
            assert batch.inputs.dtype == torch.int64 and batch.inputs.ndim == 2
            assert batch.inputs.min() >= 0 and batch.inputs.max() < task.inputs.size
        else:
            assert batch.inputs.dtype == torch.float32 and batch.inputs.shape[2:] == (task.inputs.size,)
        steps = batch.inputs.shape[1] + (task.kind == "two-sequence")  # an answer has an end besides
        leading = (rows, steps) if task.targets.per_step else (rows,)
        if isinstance(task.targets, Classes):
            assert batch.targets.dtype == torch.int64 and batch.targets.shape == leading
            assert batch.targets.min() >= 0 and batch.targets.max() < task.targets.size
        else:
            assert batch.targets.dtype == torch.float32 and batch.targets.shape == (
                *leading,
                task.targets.size,
            )
        mixed = isinstance(task, MixedSizesTask) and rows == 3  # a training batch has a size of its own
        assert batch.inputs.shape[1] <= task.steps if mixed else batch.inputs.shape[1] == task.steps
        if batch.lengths is not None:
            assert batch.lengths.dtype == torch.int64 and batch.lengths.shape == (rows,)
            least = 1 if preset(overrides) in MIXED else task.length
            assert batch.lengths.min() >= least and batch.lengths.max() <= batch.inputs.shape[1]
        if batch.mask is not None:
            assert task.targets.per_step and batch.mask.dtype == torch.bool
            assert batch.mask.shape == batch.inputs.shape[:2] and batch.mask.any(1).all()
            if batch.lengths is not None:
                valid = torch.arange(task.steps) < batch.lengths[:, None]
                assert not (batch.mask & ~valid).any()  # nothing is asked of padding


@every_task
def test_every_class_and_symbol_comes_up(make_task, overrides, short):
    task = make_task(*overrides, f"task.length={short}")
    batch = task.sample(torch.Generator().manual_seed(0), 1000, short)
    if isinstance(task.targets, Classes):
        classes = set(range(task.targets.size))
        if preset(overrides) == "copy_memory":
            classes -= {task.alphabet + 1}  # the delimiter is read, never said
        if overrides == TASKS["random_permutation-last"][0]:
            classes = {0, 1}  # what is said at the end
        if preset(overrides) == "mqar":
            classes -= set(range(task.vocabulary // 2))  # keys are read, never said
        said = batch.targets if batch.mask is None else batch.targets[batch.mask]
        assert set(said.flatten().tolist()) == classes
    if isinstance(task.inputs, Tokens):
        assert set(batch.inputs.flatten().tolist()) == set(range(task.inputs.size))


@every_task
def test_eval_lengths_are_those_tested_at(make_task, overrides, short):
    assert make_task(*overrides, f"task.length={short}", "task.eval_lengths=null").eval_lengths == (short,)
    longer = 2 * short + 2
    task = make_task(
        *overrides, f"task.length={short}", f"task.eval_lengths=[{short},{longer}]", "task.eval_size=7"
    )
    assert task.eval_lengths == (short, longer)
    assert task.test(short).inputs.shape[1] == task.validation().inputs.shape[1]
    for length in task.eval_lengths:
        test = task.test(length)
        steps = make_task(*overrides, f"task.length={length}").steps
        assert test.inputs.shape[:2] == (7, steps)
        if test.lengths is not None:
            least = MIXED.get(preset(overrides), lambda length: length)(length)
            assert ((least <= test.lengths) & (test.lengths <= steps)).all()
    memorised = any(overrides == TASKS[name][0] for name in MEMORISED)
    if not memorised and preset(overrides) not in RECURRING:
        assert not set(sequences(task.test(short))) & set(sequences(task.validation()))


@every_task
def test_what_makes_no_sense_is_refused(make_task, overrides, short):
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least \d+ steps"):
        make_task(*overrides, "task.length=0")
    with pytest.raises(ConfigError, match=r"task.eval_lengths=0 is too short"):
        make_task(*overrides, f"task.eval_lengths=[{short},0]")
    with pytest.raises(ConfigError, match=r"task.eval_size=0 leaves nothing"):
        make_task(*overrides, "task.eval_size=0")
    with pytest.raises(ConfigError, match=r"task.length=long does not fit"):
        make_task(*overrides, "task.length=long")


SOLVED = [
    ("adding", {"loss": 1 / 600 - 1e-6}, True),
    ("adding", {"loss": 1 / 600 + 1e-6}, False),
    ("adding-anywhere", {"loss": 1 / 600 - 1e-6}, True),
    ("adding-anywhere", {"loss": 1 / 600 + 1e-6}, False),
    ("adding-1997", {"loss": 0.0099, "correct": 1.0}, True),
    ("adding-1997", {"loss": 0.01, "correct": 1.0}, False),
    ("adding-1997", {"loss": 0.0001, "correct": 0.999}, False),
    ("associative_recall", {"bit_errors": 0.999}, True),
    ("associative_recall", {"bit_errors": 1.0}, False),
    ("bracket_matching", {"accuracy": 0.999}, True),
    ("bracket_matching", {"accuracy": 0.9989}, False),
    ("continual_reber", {"accuracy": 0.999}, True),
    ("continual_reber", {"accuracy": 0.9989, "long": 1.0}, False),
    ("copy_memory", {"accuracy": 0.99}, True),
    ("copy_memory", {"accuracy": 0.9899}, False),
    ("cycle_navigation", {"accuracy": 0.999}, True),
    ("cycle_navigation", {"accuracy": 0.9989}, False),
    ("dynamic_ngrams", {"excess_bits": 1.99, "bits": 140.0}, True),
    ("dynamic_ngrams", {"excess_bits": 2.0, "bits": 100.0}, False),
    ("embedded_reber", {"accuracy": 1.0}, True),
    ("embedded_reber", {"accuracy": 0.9999, "legal": 1.0}, False),
    ("latch", {"correct": 1.0}, True),
    ("latch", {"correct": 0.999}, False),
    ("listops", {"accuracy": 0.95}, True),
    ("listops", {"accuracy": 0.9499}, False),
    ("logic_trees", {"accuracy": 0.99}, True),
    ("logic_trees", {"accuracy": 0.9899}, False),
    ("mackey_glass", {"closed_nmse84": 10**-3.4 * 0.999}, True),
    ("mackey_glass", {"closed_nmse84": 10**-3.4 * 1.001}, False),
    ("mqar", {"accuracy": 0.99}, True),
    ("mqar", {"accuracy": 0.9899}, False),
    ("multiplication", {"loss": 7 / 14400 - 1e-7}, True),
    ("multiplication", {"loss": 7 / 14400 + 1e-7}, False),
    ("multiplication-1997", {"correct": 1 - 12 / 2000}, True),
    ("multiplication-1997", {"correct": 1 - 13 / 2000}, False),
    ("narma10", {"nmse": 0.0319}, True),
    ("narma10", {"nmse": 0.032}, False),
    ("noiseless_memory", {"correct": 0.991}, True),
    ("noiseless_memory-20bit", {"correct": 0.99, "accuracy": 1.0}, False),
    ("ntm_copy", {"bit_errors": 0.099}, True),
    ("ntm_copy", {"bit_errors": 0.1}, False),
    ("parity", {"accuracy": 0.999}, True),
    ("parity", {"accuracy": 0.9989}, False),
    ("priority_sort", {"bit_errors": 0.239}, True),  # 1 % of 3 vectors of 8 bits
    ("priority_sort", {"bit_errors": 0.24}, False),
    ("random_permutation", {"accuracy": 0.9901}, True),
    ("random_permutation", {"accuracy": 0.99}, False),
    ("repeat_copy", {"bit_errors": 0.099}, True),
    ("repeat_copy", {"bit_errors": 0.1}, False),
    ("reverse", {"exact": 0.99}, True),
    ("reverse", {"exact": 0.9899, "accuracy": 1.0}, False),
    ("reverse_string", {"accuracy": 0.999}, True),
    ("reverse_string", {"accuracy": 0.9989}, False),
    ("sort_tokens", {"exact": 0.99}, True),
    ("sort_tokens", {"exact": 0.9899, "accuracy": 1.0}, False),
    ("stories", {"failed": 0.0, "error": 0.04}, True),
    ("stories", {"failed": 1.0, "error": 0.01}, False),
    ("sum_of_sines", {"nmse": 0.0069}, True),
    ("sum_of_sines", {"nmse": 0.007}, False),
    ("sum_of_sines-continue", {"nmse": 0.1, "closed_nmse": 0.0069}, True),
    ("sum_of_sines-continue", {"nmse": 0.0, "closed_nmse": 0.007}, False),
    ("temporal_order", {"accuracy": 0.9901}, True),
    ("temporal_order", {"accuracy": 0.99}, False),
    ("temporal_order-1997-3", {"accuracy": 0.9901}, True),
    ("temporal_order-1997-3", {"accuracy": 0.99}, False),
    ("time_warp", {"accuracy": 0.99}, True),
    ("time_warp", {"accuracy": 0.9899}, False),
]


@pytest.mark.parametrize(("name", "metrics", "verdict"), SOLVED)
def test_solved_at_and_just_off_its_criterion(make_task, name, metrics, verdict):
    task = make_task(*TASKS[name][0])
    assert task.solved({"loss": 0.0, **metrics}) is verdict


@every_task
def test_what_picks_and_ranks_is_measured(make_task, overrides, short):
    task = make_task(*overrides)
    batch = next(task.train_batches(0, 2))
    outputs = torch.zeros(*batch.targets.shape[: 1 + task.targets.per_step], task.targets.size)
    measures = task.measure(outputs, batch)
    assert {"loss", task.metric} <= set(measures)
    assert all(values.shape == weights.shape and len(values) == 2 for values, weights in measures.values())
    assert task.direction == ("min" if task.metric in COSTS else "max")
    means = {name: float((v * w).sum() / w.sum()) for name, (v, w) in measures.items()}
    for name, value in task.summary(means).items():  # every number is declared, and in its range
        metric = task.metric_of(name)
        assert math.isnan(value) or metric.low is None or value >= metric.low
        assert math.isnan(value) or metric.high is None or value <= metric.high
