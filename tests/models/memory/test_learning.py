"""Small memory models learn, and go on beyond what they were trained on."""

from __future__ import annotations

import pytest

import seqbench

QUIET = ["logger=none", "trainer.progress=false"]


@pytest.mark.slow
def test_a_small_neural_turing_machine_learns_to_copy_and_goes_on_beyond():
    """4 bits, up to 8 vectors; no copy by heart is of use for sequences twice as long."""
    cfg = seqbench.compose(
        [
            *("task=ntm_copy", "task.bits=4", "task.length=8", "task.eval_lengths=[8,16]"),
            *("model=ntm", "model.cell.memory_size=32", "model.cell.word_size=10", "model.engine=loop"),
            *("batch_size=32", "trainer.max_steps=6000", "trainer.eval_every=250", "task.eval_size=200"),
            *("trainer.stop_when_solved=true", "seed=0", *QUIET),
        ]
    )
    (run,) = seqbench.train(cfg)
    assert run.status == "solved" and run.test["8"]["bit_errors"] < 0.1
    by_chance = 16 * 4 / 2
    assert run.test["16"]["bit_errors"] < 0.25 * by_chance


@pytest.mark.slow
@pytest.mark.parametrize("model", ["memory_network", "memn2n"])
def test_memory_networks_answer_from_one_fact(model):
    cfg = seqbench.compose(
        [
            *("task=stories", "task.types=[one_fact]", "task.length=6", "task.eval_lengths=[4,6]"),
            *(f"model={model}", "trainer.max_steps=1500", *QUIET),
        ]
    )
    (run,) = seqbench.train(cfg)
    assert run.status == "solved" and run.test["4"]["error"] < 0.05
