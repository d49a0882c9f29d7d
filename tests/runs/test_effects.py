"""What is accepted has its effect: what would change a hash and no number is refused, with the whole key."""

from __future__ import annotations

import pytest

from seqbench.errors import ConfigError
from seqbench.runs.plan import Plan, plan
from tests.conftest import _configure

SMALL = ["batch_size=4", "trainer.max_steps=10", "trainer.eval_every=5", "logger=none"]
LATCH = ["task=latch", "task.length=8", "task.eval_size=8"]
REVERSE = ["task=reverse", "task.length=4", "task.eval_lengths=[4]", "task.eval_size=8"]
SINES = ["task=sum_of_sines", "task.length=180"]
WARP = ["task=time_warp", "task.length=12", "task.warp=3"]
RIDGE = [*LATCH, "model=gru", "model/readout=ridge"]


def planned(*overrides: str) -> Plan:
    return plan(_configure([*SMALL, *overrides]))


#: What was given, and what is said of it. A refusal of a constructor names the key of its node before it.
REFUSED = {
    "teacher forcing without feedback": (
        [*LATCH, "model=lstm", "trainer.teacher_forcing=0.5"],
        r"trainer.teacher_forcing=0.5 has no effect: lstm is fed no output for which latch has the truth",
    ),
    "teacher forcing with one target a sequence": (
        [*LATCH, "model=output_rnn", "trainer.teacher_forcing=[1.0,0.5]"],
        r"trainer.teacher_forcing=\[1.0, 0.5\] has no effect: output_rnn is fed no output",
    ),
    "teacher forcing of a readout that is solved for": (
        [*SINES, "task.variant=continue", "model=echo_state", "trainer.teacher_forcing=0.5"],
        r"trainer.teacher_forcing=0.5 has no effect: echo_state is fed no output",
    ),
    "a pair of equal rates": (
        [*WARP, "model=output_rnn", "trainer.teacher_forcing=[0.5,0.5]"],
        r"trainer.teacher_forcing=\[0.5, 0.5\] does not change",
    ),
    "two rates and one step": (
        [*WARP, "model=output_rnn", "trainer.teacher_forcing=[1.0,0.5]", "trainer.max_steps=1"],
        r"trainer.teacher_forcing=\[1.0, 0.5\] .* trainer.max_steps=1 has one step",
    ),
    "the spectrum of no matrix": (
        [*LATCH, "model=min_gru", "trainer.log_spectrum=true"],
        r"trainer.log_spectrum=true has no effect: min_gru has no recurrent matrix",
    ),
    "Ω with outputs of its own": (
        ["task=mackey_glass", "model=rnn", "optim=sgd_omega", "trainer.teacher_forcing=0.5"],
        r"optim.omega=4.0 is of true inputs, and with trainer.teacher_forcing=0.5 some are the model's own",
    ),
    "seeds together under Ω": (
        [*LATCH, "model=rnn", "optim=sgd_omega", "trainer.seeds_together=true", "n_seeds=2"],
        r"trainer.seeds_together=true cannot be, because optim.omega takes every model by itself",
    ),
    "seeds together of a tree": (
        [
            "task=listops",
            "task.length=2",
            "task.eval_lengths=[2]",
            "model=tree_lstm",
            "trainer.seeds_together=true",
        ],
        r"trainer.seeds_together=true cannot be, because tree_lstm cannot be vectorised",
    ),
    "seeds together on a CPU": (
        [*LATCH, "model=rnn", "trainer.seeds_together=true", "n_seeds=2", "trainer.accelerator=cpu"],
        r"trainer.seeds_together=true cannot be, because on a CPU each seed has a pass of its own; leave it",
    ),
    "slices as long as the sequence": (
        [*LATCH, "model=rnn", "optim.truncate=8"],
        r"optim.truncate=8 has no effect: a sequence has at most 8 steps",
    ),
    "a chunk longer than a slice": (
        [*LATCH, "model=gla", "model.cell.chunk_size=5", "optim.truncate=4"],
        r"model.cell.chunk_size=5 is longer than a slice of optim.truncate=4 steps; give at most",
    ),
    "a convolution wider than a sequence": (
        [*LATCH, "model=delta_net", "model.cell.conv_width=9"],
        r"^model.cell.conv_width=9 is of more steps than a training sequence has, and 1 of its taps are "
        r"never trained; give at most 8\.$",
    ),
    "taps of more steps than a dilated layer takes at once": (
        [*LATCH, "model=mamba", "model.num_layers=2", "model.dilation=4", "model.cell.conv_width=3"],
        r"^model.cell.conv_width=3 is of more steps than a dilated layer takes at once, and 1 of its ",
    ),
    "attention to the present step alone": (
        [*LATCH, "model=transformer", "model.cell.context=1"],
        r"^model.cell.context=1 sees no step but the present one; give at least 2",
    ),
    "positions that turn nothing": (
        [*LATCH, "model=transformer", "model.hidden_size=4", "model.cell.heads=4"],
        r"^model.cell.heads=4 have one number each, and rope turns pairs; give fewer",
    ),
    "a norm that leaves a sign": (
        [*LATCH, "model=delta_net", "model.hidden_size=4", "model.cell.heads=4"],
        r"^model.cell.heads=4 have one number each, of which a norm leaves the sign or nothing; give fewer",
    ),
    **{
        f"a head of one number of {model}": (
            [*LATCH, f"model={model}", "model/block=none", "model.hidden_size=1"],
            r"^model.hidden_size=1 is one number, of which a norm leaves the sign or nothing; give more",
        )
        for model in ("delta_net", "gated_delta_net", "gla", "rwkv7", "xlstm", "slstm")
    },
    "a block of one number": (
        [*LATCH, "model=rnn", "model/block=pre_norm", "model.hidden_size=1"],
        r"^model.hidden_size=1 is one number, of which a norm leaves the sign or nothing; give more",
    ),
    "an orthogonal matrix of one number": (
        [*LATCH, "model=orthogonal_rnn", "model.hidden_size=1"],
        r"^model.hidden_size=1 has one orthogonal matrix, W = 1, and nothing to learn; give more",
    ),
    "a jump that ends in one cell": (
        [*LATCH, "model=tape_rnn", "model.cell.tape_size=8", "model.cell.jump=4"],
        r"^model.cell.jump=4 to the left and to the right ends in the same of model.cell.tape_size=8 ",
    ),
    "one step": (
        ["task=parity", "task.length=1", "model=gru"],
        r"^model: in sequences of one step nothing goes from step to step; give task.length at least 2",
    ),
    "taps of more steps than a sequence has": (
        [*LATCH, "model=tcn", "model.num_layers=1", "model.dilation=1", "model.cell.kernel_size=20"],
        r"^model.cell.kernel_size=20 is of more steps than a training sequence has, and 12 of its taps are ",
    ),
    "slices of what carries no state": (
        [*LATCH, "model=rnn", "model.bidirectional=true", "optim.truncate=4"],
        r"optim.truncate=4 carries a state from slice to slice",
    ),
    "a warm-up as long as the run": (
        [*LATCH, "model=rnn", "optim.warmup_steps=10"],
        r"optim.warmup_steps=10 is as long as the run, trainer.max_steps=10, which never trains at the",
    ),
    "a patience of more evaluations than there are": (
        [*LATCH, "model=rnn", "trainer.eval_every=4", "trainer.patience=2"],
        r"trainer.patience=2 has no effect: trainer.max_steps=10 has no more than 3 evaluations",
    ),
    "a warm-up of one step": (
        [*LATCH, "model=rnn", "optim.warmup_steps=1"],
        r"optim.warmup_steps=1 has no effect",
    ),
    "a schedule without a second step": (
        [*LATCH, "model=rnn", "optim.warmup_steps=9", "optim.schedule=linear"],
        r"optim.schedule=linear has no effect: trainer.max_steps=10 leaves no second step after the warm-up",
    ),
    "an optimiser of a readout that is solved for": (
        [*LATCH, "model=echo_state", "optim=sgd"],
        r"optim=sgd has no effect: echo_state solves for its readout",
    ),
    **{
        f"{key} of a readout that is solved for": (
            [*RIDGE, f"optim.{key}={value}"],
            rf"optim.{key}=.* has no effect: gru solves for its readout",
        )
        for key, value in {
            **{"lr": 0.01, "weight_decay": 0.1, "clip_norm": "null", "clip_value": 1, "schedule": "cosine"},
            **{"warmup_steps": 2, "omega": 1, "truncate": 4, "optimizer.betas": "[0.8,0.9]"},
        }.items()
    },
    "a width beside a budget": (
        [*LATCH, "model=lstm", "model.hidden_size=32", "model.param_budget=5000"],
        r"model.hidden_size=32 has no effect beside model.param_budget=5000, which leads to 34",
    ),
    "a dilation of one layer": (
        [*LATCH, "model=gru", "model.dilation=4"],
        r"model.dilation=4 acts from the second layer on, and model.num_layers=1",
    ),
    "a dilation of no state": (
        [*WARP, "model=output_rnn", "model.num_layers=2", "model.dilation=2"],
        r"dilation=2 delays a state, and FeedForward has none",
    ),
    "a length penalty without a beam": (
        [*REVERSE, "model=seq2seq", "model.length_penalty=0.5"],
        r"model.length_penalty=0.5 ranks what beam search finds, and model.beam=1 does not search",
    ),
    "a place for the context beside attention": (
        [*REVERSE, "model=seq2seq_attention", "model.context=start"],
        r"model.context=start places a fixed context, and model.attention=additive makes one for each step",
    ),
    "a bias that chrono replaces, GRU": (
        [*LATCH, "model=gru_chrono", "model.cell.update_bias=1"],
        r"model.cell.update_bias=1.0 is replaced by what model.cell.chrono=100 draws",
    ),
    "a bias that chrono replaces, LSTM": (
        [*LATCH, "model=lstm_chrono", "model.cell.forget_bias=2"],
        r"model.cell.forget_bias=2.0 is replaced by what model.cell.chrono=100 draws",
    ),
    "a bias of no forget gate": (
        [*LATCH, "model=lstm", "model.cell.forget_gate=false", "model.cell.forget_bias=0"],
        r"forget_bias=0.0 has no gate of its own to act on, as forget_gate is false",
    ),
    "a bias of a coupled gate": (
        [*LATCH, "model=coupled_lstm", "model.cell.forget_bias=0"],
        r"forget_bias=0.0 has no gate of its own to act on, as coupled is true",
    ),
    "peepholes of no gate": (
        [
            *LATCH,
            "model=peephole_lstm",
            *(f"model.cell.{gate}_gate=false" for gate in ("input", "forget", "output")),
        ],
        r"peepholes=true lets gates see the state, and there is no gate",
    ),
    "α spread over nothing": (
        [*LATCH, "model=leaky_rnn", "model.cell.alpha=[0.5,0.5]"],
        r"alpha=\[0.5, 0.5\] spreads nothing; give model.cell.alpha=0.5",
    ),
    "more periods than units": (
        [*LATCH, "model=clockwork_rnn", "model.hidden_size=2", "model.cell.periods=[1,2,4]"],
        r"periods=\[1, 2, 4\] has 3 numbers for 2 units",
    ),
    "phases of another variant": (
        [*SINES, "task.variant=continue", "task.phase_seed=3", "model=rnn"],
        r"task.phase_seed=3 has no effect: task.variant=continue draws phases for each sequence",
    ),
    "many of one sequence": (
        [*SINES, "task.eval_size=20", "model=rnn"],
        r"task.eval_size=20 has no effect: all sequences of task.variant=generate are the same",
    ),
    "a test length twice": (
        [*LATCH, "task.eval_lengths=[8,8]", "model=rnn"],
        r"task.eval_lengths=\[8, 8\] must name",
    ),
    "no test length": (
        [*LATCH, "task.eval_lengths=[]", "model=rnn"],
        r"task.eval_lengths=\[\] must name at least one",
    ),
}


@pytest.mark.parametrize(("overrides", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_would_do_nothing_is_refused_when_the_plan_is_made(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        planned(*overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        [*WARP, "model=output_rnn", "trainer.teacher_forcing=0.5"],
        [*WARP, "model=gru", "model.feedback=true", "trainer.teacher_forcing=[1.0,0.5]"],
        [*SINES, "task.variant=continue", "model=rnn", "trainer.teacher_forcing=0.5"],
        [
            *REVERSE,
            "model=seq2seq",
            "trainer.teacher_forcing=0.5",
            "model.beam=2",
            "model.length_penalty=0.5",
        ],
        [*LATCH, "model=lru", "trainer.log_spectrum=true"],
        [*LATCH, "model=rnn", "optim.truncate=7", "optim.warmup_steps=9"],
        [*LATCH, "model=rnn", "optim.warmup_steps=8", "optim.schedule=cosine"],
        [*RIDGE, "optim.lr=3e-3", "optim.clip_norm=1"],  # the defaults, written otherwise
        [*LATCH, "model=dilated_rnn", "model.num_layers=2"],
        [*LATCH, "model=lstm_chrono", "model.cell.input_gate=false", "model.cell.peepholes=true"],
        [*LATCH, "model=clockwork_rnn", "model.hidden_size=2"],  # the default periods are for any width
        [*LATCH, "model=rnn", "trainer.seeds_together=false", "n_seeds=2"],
        [*LATCH, "model=mamba", "model.cell.conv_width=8"],
        ["task=adding", "task.length=3", "model=mamba"],  # the default width is for any sequence
    ],
    ids=lambda overrides: overrides[-1],
)
def test_what_has_an_effect_is_not(overrides: list[str]) -> None:
    assert planned(*overrides).hash


def test_a_width_beside_a_budget_is_one_that_differs_from_the_presets_own() -> None:
    budget = [*LATCH, "model=lstm", "model.param_budget=5000"]
    hashes = {
        planned(*budget, *more).hash for more in ([], ["model.hidden_size=64"], ["model.hidden_size=34"])
    }
    cfg = _configure([*SMALL, *budget])
    cfg.model.hidden_size = None
    assert hashes == {plan(cfg).hash} == {planned(*LATCH, "model=lstm", "model.hidden_size=34").hash}
    stored = planned(*budget)  # as a run's own configuration has it: the budget, and the width it led to
    assert stored.config["model"]["hidden_size"] == 34 and stored.config["model"]["param_budget"] == 5000


def test_a_rate_by_epochs_needs_a_task_that_has_some() -> None:
    keys = ["optim.schedule=step", "optim.decay=0.5", "optim.decay_after=1", "logger=none"]
    with pytest.raises(ConfigError, match=r"optim\.schedule=step counts epochs, and task=latch draws"):
        plan(_configure(["task=latch", "model=rnn", *keys]))
