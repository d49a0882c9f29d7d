"""What every synthetic task preset must pass."""

import math
import re
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from pathlib import Path

import pytest
import torch
import yaml

from seqbench.errors import ConfigError
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Bits, Classes, Tokens
from seqbench.tasks.streams.fresh import STEPS_PER_DRAW, SyntheticTask
from seqbench.tasks.streams.mixed import MixedSizesTask
from tests.tasks.batches import digest, same

CONF = Path(__file__).parents[2] / "conf" / "task"

#: Variants of presets, and a length at which a large sample is cheap. A preset that is not named here is
#: taken as it is, at its own length.
TASKS = {
    "adding": (["task=adding"], 10),
    "adding-anywhere": (["task=adding", "task.variant=anywhere"], 10),
    "adding-1997": (["task=adding", "task.variant='1997'"], 24),
    "associative_recall": (["task=associative_recall"], 4),
    "binary_addition": (["task=binary_addition"], 12),
    "binary_multiplication": (["task=binary_multiplication"], 12),
    "bracket_matching": (["task=bracket_matching"], 30),
    "bracket_matching-3": (["task=bracket_matching", "task.kinds=3"], 30),
    "bucket_sort": (["task=bucket_sort"], 12),
    "compute_sqrt": (["task=compute_sqrt"], 30),
    "continual_reber": (["task=continual_reber"], 30),
    "copy_memory": (["task=copy_memory"], 4),
    "copy_memory-12-of-5": (["task=copy_memory", "task.symbols=12", "task.alphabet=5"], 1),
    "cycle_navigation": (["task=cycle_navigation"], 30),
    "duplicate_string": (["task=duplicate_string"], 30),
    "distracted_stories": (["task=distracted_stories", "task.distractors=4"], 6),
    "dynamic_ngrams": (["task=dynamic_ngrams"], 12),
    "embedded_reber": (["task=embedded_reber"], 12),
    "even_pairs": (["task=even_pairs"], 30),
    "induction_heads": (["task=induction_heads"], 8),
    "latch": (["task=latch"], 6),
    "listops": (["task=listops"], 3),
    "logic_trees": (["task=logic_trees", "task.length=6", "task.max_tokens=45"], 6),
    "mackey_glass": (["task=mackey_glass"], 100),
    "memory_capacity": (["task=memory_capacity", "task.delays=3", "task.washout=4"], 10),
    "missing_duplicate": (["task=missing_duplicate"], 30),
    "modular_arithmetic": (["task=modular_arithmetic"], 30),
    "modular_arithmetic_simple": (["task=modular_arithmetic_simple"], 15),
    "mqar": (["task=mqar", "task.vocabulary=30", "task.pairs=3"], 12),
    "mqar-random": (["task=mqar", "task.vocabulary=30", "task.pairs=3", "task.variant=random"], 12),
    "multiplication": (["task=multiplication"], 10),
    "multiplication-anywhere": (["task=multiplication", "task.variant=anywhere"], 10),
    "multiplication-1997": (["task=multiplication", "task.variant='1997'"], 24),
    "narma10": (["task=narma10"], 20),
    "needle": (["task=needle", "task.keys=6", "task.values=5"], 9),
    "noiseless_memory": (["task=noiseless_memory"], 4),
    "noiseless_memory-20bit": (["task=noiseless_memory", "task.variant=20bit"], 4),
    "ntm_copy": (["task=ntm_copy"], 4),
    "odds_first": (["task=odds_first"], 30),
    "parity": (["task=parity"], 30),
    "priority_sort": (["task=priority_sort", "task.sorted=3"], 5),
    "random_permutation": (["task=random_permutation"], 3),
    "random_permutation-last": (["task=random_permutation", "task.variant=last"], 3),
    "repeat_copy": (["task=repeat_copy", "task.repeats=4"], 3),
    "reverse": (["task=reverse"], 8),
    "reverse_string": (["task=reverse_string"], 30),
    "selective_copy": (["task=selective_copy"], 8),
    "solve_equation": (["task=solve_equation"], 30),
    "sort_tokens": (["task=sort_tokens"], 8),
    "stack_manipulation": (["task=stack_manipulation"], 20),
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


def target_of(path: Path) -> type:
    """Return the class of a preset, which may be that of the preset that it builds on."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if "_target_" not in content:
        return target_of(CONF / f"{content['defaults'][0]}.yaml")
    module, _, task = content["_target_"].rpartition(".")
    return getattr(import_module(module), task)


for path in sorted(CONF.glob("*.yaml")):
    named = {overrides[0] for overrides, _ in TASKS.values()}
    if issubclass(target_of(path), SyntheticTask) and f"task={path.stem}" not in named:
        TASKS[path.stem] = ([f"task={path.stem}"], yaml.safe_load(path.read_text(encoding="utf-8"))["length"])

every_task = pytest.mark.parametrize(
    ("name", "short"), [(name, short) for name, (_, short) in TASKS.items()], ids=TASKS
)

#: Tasks of one sequence, which is there to be memorised: nothing is drawn, no splits differ, and no target
#: is a surprise. Their own tests say what they are.
MEMORISED = {"sum_of_sines"}


def sized(name: str, rows: int) -> list[str]:
    """Return the override that evaluates on so many sequences, where there are several."""
    return [] if name in MEMORISED else [f"task.eval_size={rows}"]


DRAWN = {name: short for name, (_, short) in TASKS.items() if name not in MEMORISED}
every_drawn_task = pytest.mark.parametrize(("name", "short"), DRAWN.items(), ids=DRAWN)

#: Presets whose training sequences have any length, down to the shortest, and how many steps a test sequence
#: of a length has at least. Short ones are few, so that they come up in several splits; long ones must not.
MIXED = {
    "binary_addition": lambda length: 2 * length + 1,
    "binary_multiplication": lambda length: 2 * length,
    "bracket_matching": lambda length: length,
    "bucket_sort": lambda length: 2 * length,
    "compute_sqrt": lambda length: (3 * length + 1) // 2,
    "cycle_navigation": lambda length: length,
    "distracted_stories": lambda length: 5 * (length + 4) + 4,
    "duplicate_string": lambda length: 3 * length,
    "embedded_reber": lambda length: 8,
    "even_pairs": lambda length: length,
    "listops": lambda length: 4 * length + 1,
    "logic_trees": lambda length: 3 * length + 1,
    "missing_duplicate": lambda length: length,
    "modular_arithmetic": lambda length: length,
    "modular_arithmetic_simple": lambda length: 2 * length - 1,
    "odds_first": lambda length: 2 * length,
    "parity": lambda length: length,
    "reverse_string": lambda length: 2 * length,
    "solve_equation": lambda length: length,
    "stack_manipulation": lambda length: 2 * length + 1,
    "stories": lambda length: 5 * length + 4,
}
#: Presets of so few likely sequences that they come up in several splits: 32 patterns, or a birthday or two
#: among 5¹⁰; the strings of a grammar, of which one in four has one of ten short forms; sources of bits that
#: say one bit, or a few in turn, for ever.
RECURRING = {"noiseless_memory", "embedded_reber", "dynamic_ngrams"}
#: Metrics of which smaller, and of which larger is better.
COSTS, GAINS = {"loss", "bit_errors", "excess_bits", "error"}, {"accuracy", "exact"}
#: The sequences of a large sample, where more or fewer are needed than elsewhere.
SAMPLES = {
    **dict.fromkeys(["adding", "adding-anywhere", "adding-1997"], 50_000),
    **dict.fromkeys(["multiplication", "multiplication-anywhere", "multiplication-1997"], 100_000),
    **dict.fromkeys(["distracted_stories", "listops", "stories", "stories-facts"], 4_000),
    "logic_trees": 1_000,
    "narma10": 60_000,
}


#: Digests of the first three training batches: a changed stream needs a new revision of its task. Left out
#: are those that compute with more than the random numbers themselves: these may differ between machines.
STREAMS = {
    "adding": "b90574ca0f23267c",
    "adding-anywhere": "dccb846bed864f61",
    "adding-1997": "1703e7576e9f18e8",
    "associative_recall": "aef78a4e0c2b0e1f",
    "binary_addition": "b308a4ddfb8db2da",
    "binary_multiplication": "1c98ac07d659d534",
    "bracket_matching": "7c5b4c53c04dbd3c",
    "bracket_matching-3": "93ab753d7feeae8f",
    "bucket_sort": "60e5b47cd53a37fc",
    "compute_sqrt": "c9b98b29e64e4680",
    "continual_reber": "332c5ecbabae39ce",
    "copy_memory": "2b3e03b7dd824b14",
    "copy_memory-12-of-5": "d5113d3cd0fea9de",
    "cycle_navigation": "8ff7be146753b32c",
    "distracted_stories": "6ca363791e624a21",
    "duplicate_string": "43fcd95352963614",
    "dynamic_ngrams": "661eaa48465cf396",
    "embedded_reber": "73db69ec18a227f1",
    "even_pairs": "9d33866c3ab19195",
    "induction_heads": "bc8f9159cb063865",
    "listops": "b2320568a8b4547d",
    "logic_trees": "e7b549e1ff9b9809",
    "memory_capacity": "c5dfd59b273752e9",
    "missing_duplicate": "c498f17e2ac2d1b4",
    "modular_arithmetic": "04afa4d4041b4760",
    "modular_arithmetic_simple": "69d7bf0e9ff6d250",
    "mqar": "b81a6410ff79799b",
    "mqar-random": "fdc5398644140483",
    "multiplication": "469085ce0da27034",
    "multiplication-anywhere": "d32dc191b6f188de",
    "multiplication-1997": "768f81aea551a922",
    "needle": "8cbfd1f29a89fefa",
    "noiseless_memory": "e059a798ec6a8ac0",
    "noiseless_memory-20bit": "eccd7e718a016baf",
    "ntm_copy": "33427e5c2332633f",
    "odds_first": "db631b60a51db55a",
    "parity": "b90572a4c4fa6754",
    "priority_sort": "bd98029ea00740e8",
    "random_permutation": "90972f100817e08b",
    "random_permutation-last": "f76a587d57799693",
    "repeat_copy": "ee103aa245dc82ab",
    "reverse": "0651c2c2395839d5",
    "reverse_string": "02401075b617f0ca",
    "selective_copy": "becf52fc524c5541",
    "solve_equation": "b8fde5291fa1cba9",
    "sort_tokens": "4aa38bac6eff12a0",
    "stack_manipulation": "54f6ed58730b130e",
    "stories": "5465243b09cf0946",
    "stories-facts": "d7616b2ea6a552cb",
    "temporal_order": "d64523c2ed9296e2",
    "temporal_order-3": "0fa4b54ce4e1b2c1",
    "temporal_order-1997": "b91e91760ad283f4",
    "temporal_order-1997-3": "5b7a3596f73e92a8",
    "time_warp": "e86241ee445a6a90",
    "time_warp-uniform": "f742bbe3ea2308da",
}

_built: dict[tuple[str, ...], Task] = {}


@pytest.fixture
def task_of(make_task) -> Callable[..., Task]:
    """Build a task of a name above, once for all tests."""

    def build(name: str, *overrides: str) -> Task:
        key = (*TASKS[name][0], *overrides)
        if key not in _built:
            _built[key] = make_task(*key)
        return _built[key]

    return build


def preset(name: str) -> str:
    return TASKS[name][0][0].removeprefix("task=")


def sequences(batch: Batch, least: float = 0) -> list[bytes]:
    """Return the inputs of each row of at least `least` steps."""
    rows, steps = batch.inputs.shape[:2]
    lengths = torch.full((rows,), steps) if batch.lengths is None else batch.lengths
    return [row.numpy().tobytes() for row in batch.inputs[lengths >= least]]


@every_drawn_task
def test_training_batches_follow_from_the_seed_alone(task_of, make_task, name, short):
    task = task_of(name, f"task.length={short}")
    batches = list(islice(task.train_batches(0, 8), 3))
    torch.manual_seed(123)  # the global generator plays no part
    again = make_task(*TASKS[name][0], f"task.length={short}")
    assert all(map(same, batches, again.train_batches(0, 8)))
    assert not any(map(same, batches, task.train_batches(1, 8)))
    assert not same(batches[0], batches[1])
    assert STREAMS.get(name, digest(batches)) == digest(batches)


@every_task
def test_a_stream_resumes_at_any_step(task_of, name, short):
    task = task_of(name, f"task.length={short}")
    batches = list(islice(task.train_batches(3, 2), 2 * STEPS_PER_DRAW + 2))
    for start in (1, STEPS_PER_DRAW - 1, STEPS_PER_DRAW, STEPS_PER_DRAW + 1, 2 * STEPS_PER_DRAW):
        resumed = list(islice(task.train_batches(3, 2, start=start), 2))
        assert all(map(same, resumed, batches[start : start + 2]))


@every_drawn_task
def test_splits_are_fixed_and_disjoint(task_of, make_task, name, short):
    task, twin = (build(*key, "task.eval_size=200") for build, key in
                  [(task_of, [name]), (make_task, TASKS[name][0])])  # fmt: skip
    validation, test = task.validation(), task.test(task.length)
    assert same(validation, twin.validation()) and same(test, twin.test(task.length))
    train = list(islice(task.train_batches(0, 32), 10))
    splits = [*train, validation, test]
    assert [len(split.inputs) for split in splits] == [32] * 10 + [200] * 2
    if preset(name) in RECURRING:
        assert not same(validation.rows(0, 64), test.rows(0, 64))
        return
    least = 0.75 * task.steps if preset(name) in MIXED or isinstance(task, MixedSizesTask) else 0
    found = [row for split in splits for row in sequences(split, least)]
    assert len(set(found)) == len(found) > (150 if least else 700)


@every_drawn_task
def test_baseline_loss_and_chance_are_those_of_the_best_constant(task_of, name, short):
    """The constant that fits a large sample best loses as much on it, but for what fitting gains."""
    task = task_of(name, f"task.length={short}")
    n = SAMPLES.get(name, min(30_000, 300_000 // short))
    batch = task.sample(torch.Generator().manual_seed(1), n, short)
    if isinstance(task.targets, Classes):
        counted = torch.nn.functional.one_hot(batch.targets, task.targets.size)
        if batch.mask is not None:
            counted *= batch.mask[..., None]
        total = counted.sum(0)
        share = total.double() / total.sum(-1, keepdim=True).clamp_min(1)
        constant = share.clamp_min(1e-12).log()
        free = int((share > 0).sum() - (share > 0).any(-1).sum())
    elif isinstance(task.targets, Bits):
        share = batch.targets.double().mean(0)
        constant = share.logit(eps=1e-12)
        free = int(((share > 0) & (share < 1)).any(-1).sum())
    else:
        constant, free = batch.targets.double().mean(0), 1
    measures = task.measure(constant.expand(n, *constant.shape), batch)
    assert batch.mask is not None or measures["loss"][1].all()

    def mean(name: str) -> tuple[float, float]:
        """Return a metric with four standard errors; the mean is over all targets."""
        values, weights = measures[name]
        sums, counts = ((part * weights).reshape(n, -1).sum(1) for part in (values, torch.ones_like(values)))
        mean = sums.sum() / counts.sum()
        return mean.item(), 4 * ((sums - mean * counts) / counts.mean()).std().item() / n**0.5

    loss, error = mean("loss")
    # Fitting gains half of `free / n`. A baseline off by 5 % fails.
    assert error + free / n < 0.025 * loss
    assert task.baseline_loss(short) == pytest.approx(loss, abs=error + free / n)
    for metric, value in task.chance(short).items():
        if metric != "nrmse":  # the root of a mean
            found, error = mean(metric)
            rare = 3 / n  # so often there may be what a sample does not have
            assert value == pytest.approx(found, abs=error + 0.02 * found + rare), metric


@every_task
def test_batches_are_as_the_specs_say(task_of, name, short):
    task, one = task_of(name, *sized(name, 5)), task_of(name, "task.eval_size=1")
    several = 1 if name in MEMORISED else 5
    for batch, rows in [
        (next(task.train_batches(0, 3)), 3),
        (task.validation(), several),
        (one.validation(), 1),
    ]:
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
            assert batch.targets.dtype == torch.float32
            assert batch.targets.shape == (*leading, task.targets.size)
        mixed = isinstance(task, MixedSizesTask) and rows == 3  # a training batch has a size of its own
        assert batch.inputs.shape[1] <= task.steps if mixed else batch.inputs.shape[1] == task.steps
        if batch.lengths is not None:
            assert batch.lengths.dtype == torch.int64 and batch.lengths.shape == (rows,)
            least = 1 if preset(name) in MIXED else task.length
            assert batch.lengths.min() >= least and batch.lengths.max() <= batch.inputs.shape[1]
        if batch.mask is not None:
            assert task.targets.per_step and batch.mask.dtype == torch.bool
            assert batch.mask.shape == batch.inputs.shape[:2] and batch.mask.any(1).all()
            if batch.lengths is not None:
                valid = torch.arange(task.steps) < batch.lengths[:, None]
                assert not (batch.mask & ~valid).any()  # no target in the padding
        assert all(len(part) == rows for part in batch.extras.values())


@every_task
def test_every_class_and_symbol_comes_up(task_of, name, short):
    task = task_of(name, f"task.length={short}")
    batch = task.sample(torch.Generator().manual_seed(0), 1000, short)
    if isinstance(task.targets, Classes):
        classes = set(range(task.targets.size))
        if preset(name) == "copy_memory":
            classes -= {task.alphabet + 1}  # the delimiter is never a target
        if name == "random_permutation-last":
            classes = {0, 1}  # the symbols of the end
        if preset(name) == "mqar":
            classes -= set(range(task.vocabulary // 2))  # keys are never targets
        targets = batch.targets if batch.mask is None else batch.targets[batch.mask]
        assert set(targets.flatten().tolist()) == classes
    if isinstance(task.inputs, Tokens):
        assert set(batch.inputs.flatten().tolist()) == set(range(task.inputs.size))


@every_task
def test_eval_lengths_are_those_tested_at(task_of, name, short):
    assert task_of(name, f"task.length={short}", "task.eval_lengths=null").eval_lengths == (short,)
    longer = 2 * short + 2
    task = task_of(name, f"task.length={short}", f"task.eval_lengths=[{short},{longer}]", *sized(name, 7))
    assert task.eval_lengths == (short, longer)
    assert task.test(short).inputs.shape[1] == task.validation().inputs.shape[1]
    for length in task.eval_lengths:
        test = task.test(length)
        steps = task_of(name, f"task.length={length}").steps
        assert test.inputs.shape[:2] == (task.eval_size, steps)
        if test.lengths is not None:
            least = MIXED.get(preset(name), lambda length: length)(length)
            assert ((least <= test.lengths) & (test.lengths <= steps)).all()
    if name not in MEMORISED and preset(name) not in RECURRING:
        assert not set(sequences(task.test(short))) & set(sequences(task.validation()))


@every_task
def test_what_makes_no_sense_is_refused(make_task, name, short):
    overrides = TASKS[name][0]
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least \d+ steps"):
        make_task(*overrides, "task.length=0")
    with pytest.raises(ConfigError, match=r"task.eval_lengths=0 is too short"):
        make_task(*overrides, f"task.eval_lengths=[{short},0]")
    with pytest.raises(ConfigError, match=r"task.eval_size=0 leaves nothing"):
        make_task(*overrides, "task.eval_size=0")
    with pytest.raises(ConfigError, match=r"task.length=long must be a whole number"):
        make_task(*overrides, "task.length=long")


#: The fifteen tasks of Delétang et al. (2023).
HIERARCHY = [
    "binary_addition",
    "binary_multiplication",
    "bucket_sort",
    "compute_sqrt",
    "cycle_navigation",
    "duplicate_string",
    "even_pairs",
    "missing_duplicate",
    "modular_arithmetic",
    "modular_arithmetic_simple",
    "odds_first",
    "parity",
    "reverse_string",
    "solve_equation",
    "stack_manipulation",
]

SOLVED = [
    *((name, {"accuracy": 0.999}, True) for name in HIERARCHY),
    *((name, {"accuracy": 0.9989}, False) for name in HIERARCHY),
    ("adding", {"loss": 1 / 600 - 1e-6}, True),
    ("adding", {"loss": 1 / 600 + 1e-6}, False),
    ("adding-anywhere", {"loss": 1 / 600 - 1e-6}, True),
    ("adding-anywhere", {"loss": 1 / 600 + 1e-6}, False),
    ("adding-1997", {"loss": 0.0099, "correct": 1.0}, True),
    ("adding-1997", {"loss": 0.01, "correct": 1.0}, False),
    ("adding-1997", {"loss": 0.0001, "correct": 0.999}, False),
    ("associative_recall", {"bit_errors": 0.0999}, True),
    ("associative_recall", {"bit_errors": 0.1}, False),
    ("bracket_matching", {"accuracy": 0.999}, True),
    ("bracket_matching", {"accuracy": 0.9989}, False),
    ("continual_reber", {"accuracy": 0.999}, True),
    ("continual_reber", {"accuracy": 0.9989, "long": 1.0}, False),
    ("copy_memory", {"accuracy": 0.99}, True),
    ("copy_memory", {"accuracy": 0.9899}, False),
    ("distracted_stories", {"failed": 0.0, "error": 0.04}, True),
    ("distracted_stories", {"failed": 1.0, "error": 0.01}, False),
    ("dynamic_ngrams", {"excess_bits": 1.99, "bits": 140.0}, True),
    ("dynamic_ngrams", {"excess_bits": 2.0, "bits": 100.0}, False),
    ("embedded_reber", {"accuracy": 1.0}, True),
    ("embedded_reber", {"accuracy": 0.9999, "legal": 1.0}, False),
    ("induction_heads", {"accuracy": 0.99}, True),
    ("induction_heads", {"accuracy": 0.9899}, False),
    ("latch", {"correct": 1.0}, True),
    ("latch", {"correct": 0.999}, False),
    ("listops", {"accuracy": 0.95}, True),
    ("listops", {"accuracy": 0.9499}, False),
    ("logic_trees", {"accuracy": 0.99}, True),
    ("logic_trees", {"accuracy": 0.9899}, False),
    ("mackey_glass", {"closed_nmse84": 0.0088**2 * 0.999}, True),
    ("mackey_glass", {"closed_nmse84": 0.0088**2 * 1.001}, False),
    ("memory_capacity", {"capacity": 2.97}, True),  # of 3 delays
    ("memory_capacity", {"capacity": 2.9699}, False),
    ("mqar", {"accuracy": 0.99}, True),
    ("mqar", {"accuracy": 0.9899}, False),
    ("multiplication", {"loss": 7 / 14400 - 1e-7}, True),
    ("multiplication", {"loss": 7 / 14400 + 1e-7}, False),
    ("multiplication-1997", {"correct": 1 - 12 / 2000}, True),
    ("multiplication-1997", {"correct": 1 - 13 / 2000}, False),
    ("narma10", {"nmse": 0.0319}, True),
    ("narma10", {"nmse": 0.032}, False),
    ("needle", {"accuracy": 0.99}, True),
    ("needle", {"accuracy": 0.9899}, False),
    ("noiseless_memory", {"correct": 0.991}, True),
    ("noiseless_memory-20bit", {"correct": 0.99, "accuracy": 1.0}, False),
    ("ntm_copy", {"bit_errors": 0.099}, True),
    ("ntm_copy", {"bit_errors": 0.1}, False),
    ("priority_sort", {"bit_errors": 0.239}, True),  # 1 % of 3 vectors of 8 bits
    ("priority_sort", {"bit_errors": 0.24}, False),
    ("random_permutation", {"accuracy": 0.9901}, True),
    ("random_permutation", {"accuracy": 0.99}, False),
    ("repeat_copy", {"bit_errors": 0.099}, True),
    ("repeat_copy", {"bit_errors": 0.1}, False),
    ("reverse", {"exact": 0.99}, True),
    ("reverse", {"exact": 0.9899, "accuracy": 1.0}, False),
    ("selective_copy", {"accuracy": 0.99}, True),
    ("selective_copy", {"accuracy": 0.9899}, False),
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
def test_solved_at_and_just_off_its_mark(task_of, name, metrics, verdict):
    assert task_of(name).solved({"loss": 0.0, **metrics}) is verdict


#: Tasks whose mark, or the one that they name beside their own, is from memory.
UNREAD = {*HIERARCHY, "embedded_reber", "narma10", "sum_of_sines"}


@every_task
def test_a_mark_that_could_not_be_read_in_its_source_says_so(task_of, name, short):
    words = task_of(name).solved_when
    assert ("could not be read in the paper" in words) == (preset(name) in UNREAD)
    assert re.search(r"\d{4}[;:,)]|no mark is published|none is published", words), "no source"


@every_task
def test_what_picks_and_ranks_is_measured(task_of, name, short):
    task = task_of(name)
    batch = next(task.train_batches(0, 2))
    outputs = torch.zeros(*batch.targets.shape[: 1 + task.targets.per_step], task.targets.size)
    measures = task.measure(outputs, batch)
    assert {"loss", task.metric} <= set(measures)
    assert all(values.shape == weights.shape and len(values) == 2 for values, weights in measures.values())
    assert task.metric not in COSTS or task.direction == "min"
    assert task.metric not in GAINS or task.direction == "max"
    means = {name: float((v * w).sum() / w.sum()) for name, (v, w) in measures.items()}
    for name, value in task.summary(means).items():  # every number is declared, and in its range
        metric = task.metric_of(name)
        assert math.isnan(value) or metric.low is None or value >= metric.low
        assert math.isnan(value) or metric.high is None or value <= metric.high
