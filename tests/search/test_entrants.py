"""What goes on from a search: the files that are run on fresh seeds, and the commands that run them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from seqbench.config.compose import named
from seqbench.search.entrants import commands, files, span_command
from seqbench.search.plan import plan
from seqbench.span.entrants import read_entrants
from seqbench.span.plan import plan as span_plan

TYPED = ("experiment=fair_comparison", "task=temporal_order")
BEST = {
    "gru": ["optim.lr=0.02", "model.cell.update_bias=${seqbench.keep_bias:2}"],
    "leaky_rnn": ["optim.lr=0.01", "model.cell.alpha=[0.0,${seqbench.alpha:0.5}]"],
}


def test_each_model_stands_as_its_preset_is_and_tuned() -> None:
    search = plan([*TYPED, "model=gru,rnn,leaky_rnn", "search.n_trials=8"])
    found = files(search, BEST)
    how, first, _ = found["best.txt"].splitlines()
    assert how == f"# {commands(search)['At the same lengths']}"
    assert first == "model=gru optim.lr=0.02 'model.cell.update_bias=${seqbench.keep_bias:2}'"
    command = f"seqbench span {shlex.join(TYPED)} --jobs runs/.searches/temporal_order-50-200/entrants.txt"
    assert span_command(search) == command
    assert commands(search)["The span of each model, as its preset is and tuned"] == command
    assert found["entrants.txt"].splitlines() == [
        f"# {command}",
        "label=gru model=gru",
        """'label="gru (tuned)"' model=gru optim.lr=0.02 'model.cell.update_bias=${seqbench.keep_bias:2}'""",
        "label=rnn model=rnn",
        "label=leaky_rnn model=leaky_rnn",
        """'label="leaky_rnn (tuned)"' model=leaky_rnn optim.lr=0.01 """
        """'model.cell.alpha=[0.0,${seqbench.alpha:0.5}]'""",
    ]
    Path("entrants.txt").write_text(found["entrants.txt"])
    labels = [entrant.label for entrant in read_entrants("entrants.txt", ())]
    assert labels == ["gru", "gru (tuned)", "rnn", "leaky_rnn", "leaky_rnn (tuned)"]


def test_the_spans_of_entrants_have_the_protocol_of_the_search_and_memory_as_a_share_of_the_span() -> None:
    search = plan([*TYPED, "model=leaky_rnn"])
    Path("entrants.txt").write_text(files(search, BEST)["entrants.txt"])
    *words, _ = shlex.split(span_command(search) or "")[2:-1]
    default, tuned = span_plan(words, "entrants.txt").parts
    assert (default.label, tuned.label) == ("leaky_rnn", "leaky_rnn (tuned)")
    assert default.protocol == tuned.protocol and default.protocol.max_steps == 3000
    for span in (20, 200):
        job = tuned.job(0, span, 5)
        cfg = named(OmegaConf.create(job.config), job.choices, job.typed)
        assert cfg.model.cell.alpha == [0.0, pytest.approx(0.5 * span / (1 + 0.5 * span))]
        assert cfg.optim.lr == 0.01 and cfg.model.param_budget == 10000 and cfg.seed >= 1_000_000


@pytest.mark.parametrize(
    "words",
    [
        ("task=listops", "model=tree_lstm"),
        ("task=latch", "model=gru", "search.space.batch_size={choices:[8,16]}"),
    ],
)
def test_without_a_span_or_with_a_protocol_that_is_varied_there_is_a_sweep_alone(
    words: tuple[str, ...],
) -> None:
    search = plan([*words])
    assert [*files(search, {})] == ["best.txt"] and [*commands(search)] == ["At the same lengths"]


def test_what_a_span_sets_itself_is_not_typed_for_it() -> None:
    search = plan(["task=time_warp", "model=gru", "task.warp=20", "task.length=300", "logger=none"])
    assert (span_command(search) or "").startswith(
        "seqbench span task=time_warp task.length=300 logger=none --jobs "
    )
    assert "task.warp=20" in commands(search)["At the same lengths"]
    several = plan(["task=time_warp", "model=gru", "search.lengths=[5,20]"])
    assert " task.warp=5,20 --jobs " in commands(several)["At the same lengths"]
