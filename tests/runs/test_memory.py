"""What takes more memory than there is: refused in one sentence, and nothing is allocated."""

from __future__ import annotations

import pytest

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs import memory
from seqbench.runs.memory import amount, free_memory
from seqbench.runs.plan import plan

SMALL = ["task=adding", "model=rnn", "logger=none"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["model.hidden_size=10000000"],
            "model.hidden_size=10000000 makes a model that takes 1.2 PB to train,",
        ),
        (
            ["model=lstm", "model.param_budget=1e9"],
            "model.param_budget=1000000000.0 makes a model that takes ",
        ),
        (
            ["model.param_budget=1e10"],
            "model.param_budget=10000000000.0 must be a whole number, at most 1000000000.",
        ),
        (
            ["model.hidden_size=1e12"],
            "model.hidden_size=1000000000000 is more than can be made; give at most 10000000.",
        ),
        (
            ["model.num_layers=1000000"],
            "model.num_layers=1000000 is more than can be made; give at most 1000.",
        ),
        (
            ["model=deep_transition_rnn", "model.cell.depth=1e6"],
            "model.cell.depth=1000000 is more than can be made; give at most 1000.",
        ),
        (
            ["model=deep_transition_rnn", "model.cell.depth=1e9"],
            "model.cell.depth=1000000000 is more than can be made; give at most 1000.",
        ),
        (
            ["model.num_layers=1e9"],
            "model.num_layers=1000000000 is more than can be made; give at most 1000.",
        ),
        (
            ["model=delta_net", "model.cell.conv_width=100000"],
            "model.cell.conv_width=100000 is more than can be made; give at most 1000.",
        ),
        (
            ["model=s5", "model.cell.state_width=100000"],
            "model.cell.state_width=100000 is more than can be made; give at most 2048.",
        ),
        (
            ["model=s5", "model.hidden_size=2049"],
            "model.hidden_size=2049 makes as many numbers of state where model.cell.state_width=null; give "
            "state_width, at most 2048.",
        ),
        (
            ["task=repeat_copy", "task.eval_repeats=1e10"],
            "task.eval_repeats=10000000000 makes endless sequences; give at most 10000.",
        ),
        (
            ["task=stories", "model=memory_network", "model.memory_size=1e10"],
            "model.memory_size=10000000000 is more than can be made; give at most 10000.",
        ),
        (
            ["task.length=1e9"],
            "batch_size=64 and task.length=1000000000 make a batch of 512 GB, and 1 GB of ",
        ),
        (
            ["batch_size=1e9"],
            "batch_size=1000000000 and task.length=100 make a batch of 800 GB, and 1 GB of ",
        ),
        (
            ["task.eval_size=1e9"],
            "task.eval_size=1000000000 makes a test set of 800 GB at length 100, and 1 GB",
        ),
        (
            ["task.eval_lengths=[1e12]"],
            "task.eval_size=1000 makes a test set of 8 PB at length 1000000000000, ",
        ),
        (
            ["model=dnc", "model.cell.memory_size=20000", "batch_size=2"],
            "batch_size=2 and model.cell.memory_size=20000 make states of 3.2 GB at a step, and 1 GB",
        ),
        (
            ["model=ntm", "model.cell.memory_size=4e6", "batch_size=2"],
            "batch_size=2 and model.cell.memory_size=4000000 make weights, states and a batch that take 1.",
        ),
        (
            ["task=latch", "task.length=50", "model=stack_rnn", "model.cell.stack_size=1e6", "batch_size=4"],
            "batch_size=4 and model.cell.stack_size=1000000 make states of 6.",
        ),
        (
            ["task.length=5000", "model=lstm", "model.hidden_size=1000", "batch_size=32"],
            "batch_size=32 and model.hidden_size=1000 make states of 1.28 GB in 5000 steps, and 1 GB of "
            "memory are free; give less, or optim.truncate.",
        ),
        (["n_seeds=1e9"], "n_seeds=1000000000.0 must be a whole number, at most 100000."),
        (["batch_size=1e12"], "batch_size=1000000000000.0 must be a whole number, at most 2147483647."),
        (["seed=1e20"], "seed=1e+20 must be a whole number, at most 9223372036854775807."),
        (["trainer.num_threads=1e9"], "trainer.num_threads=1000000000 must be from 1 to 1024."),
    ],
)
def test_a_job_without_a_chance_is_refused(monkeypatch, overrides, sentence):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**9)
    with pytest.raises(ConfigError) as caught:
        plan(seqbench.compose([*SMALL, *overrides]))
    assert str(caught.value).startswith(sentence)


def test_what_fits_is_not(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**7)
    job = plan(seqbench.compose([*SMALL, "n_seeds=30"]))
    assert job.seeds == range(30) and job.at_once == 30
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert plan(seqbench.compose([*SMALL, "n_seeds=1e5"])).at_once == 100_000


@pytest.mark.parametrize(
    "overrides",
    [
        ["optim.truncate=500"],
        ["trainer.accumulate=8"],
        ["model.checkpoint_steps=100"],
        ["trainer.precision=bf16-mixed"],  # of half the size
        ["model=lru"],  # a scan has states of its own
        ["model=transformer", "model.hidden_size=300"],  # whose state is its past, once
        ["model=echo_state", "model.hidden_size=1000"],  # whose units have no gradient
    ],
)
def test_states_that_are_not_kept_do_not_count(monkeypatch, overrides):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**9)
    plan(
        seqbench.compose(
            [*SMALL, "task.length=5000", "model=lstm", "model.hidden_size=1000", "batch_size=32", *overrides]
        )
    )


def test_seeds_that_do_not_fit_together_train_one_group_after_another(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**7)
    # A model of 52 kB with its gradient and best weights, a batch of 51 kB, its states at a step of 16 kB;
    # and a test set of 0.8 MB.
    job = plan(seqbench.compose([*SMALL, "n_seeds=1e5"]))
    assert job.seeds == range(100_000) and 70 < job.at_once < 80
    assert plan(seqbench.compose([*SMALL, "n_seeds=3", "trainer.seeds_together=false"])).at_once == 1


def test_free_memory_is_that_of_this_machine():
    free = free_memory()
    assert free is not None and 10**7 < free < 10**14


def test_cached_files_of_a_control_group_count_as_free(monkeypatch, tmp_path):
    for name, text in (("memory.max", "9000000"), ("memory.current", "8000000")):
        (tmp_path / name).write_text(f"{text}\n")
    (tmp_path / "memory.stat").write_text("anon 1000000\ninactive_file 6500000\nactive_file 5\n")
    group = (str(tmp_path), "memory.max", "memory.current", "inactive_file")
    monkeypatch.setattr(memory, "CGROUPS", (group,))
    assert free_memory() == 7_500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() > 10**7


def test_amounts():
    assert [amount(size) for size in (0, 999, 1000, 21.9e9, 4.8e15, 5e32)] == [
        *("0 B", "999 B", "1 kB", "21.9 GB", "4.8 PB", "5e+14 EB")
    ]
