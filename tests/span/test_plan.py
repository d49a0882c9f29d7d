"""What can be typed: parts, protocols, seeds, and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from seqbench.errors import ConfigError
from seqbench.span.plan import first_seed, plan
from seqbench.tasks.span import Span
from seqbench.tasks.synthetic.mqar import MQAR


def test_a_part_for_each_model_on_each_task() -> None:
    found = plan(["task=latch,adding", "model=rnn,gru", "n_seeds=8", "max=100", "hydra.launcher.n_jobs=1"])
    assert [(part.protocol.task, part.label) for part in found.parts] == [
        *[("latch", "rnn"), ("latch", "gru"), ("adding", "rnn"), ("adding", "gru")]
    ]
    its = found.parts[0].protocol
    assert (its.key, its.least, its.most, its.n_seeds, its.most_seeds) == ("length", 10, 100, 8, 8)
    assert (its.max_steps, its.eval_every, its.batch_size) == (2000, 100, 64)
    assert found.launcher.n_jobs == 1
    assert found.folder.parent == Path("runs/.spans") and found.folder.name.startswith("latch+adding-")


def test_what_is_not_typed_is_usual() -> None:
    (part,) = plan(["task=adding", "task.variant='1997'"]).parts
    its = part.protocol
    assert (part.label, its.least, its.most, its.n_seeds, its.most_seeds) == ("lstm", 24, 400, 5, 10)


def test_the_folder_is_that_of_the_plan() -> None:
    folder = plan(["task=latch", "model=gru"]).folder
    assert plan(["model=gru", "task=latch", "hydra.launcher.n_jobs=2"]).folder == folder
    assert plan(["task=latch", "model=gru", "n_seeds=6"]).folder != folder
    assert plan(["task=latch", "model=gru", "optim.lr=0.1"]).folder != folder


def test_a_job_has_its_span_in_the_configuration_and_in_what_is_typed() -> None:
    (part,) = plan(["task=parity", "model=gru", "optim.lr=0.01"]).parts
    job = part.job(3, 20, 5)
    assert (job.number, job.label) == (3, "gru parity at 20")
    assert job.config["task"]["length"] == 20 and job.config["task"]["eval_lengths"] is None
    assert (job.config["seed"], job.config["n_seeds"]) == (1_020_000, 5)
    assert job.typed[-4:] == ["task.length=20", "task.eval_lengths=null", "seed=1020000", "n_seeds=5"]
    assert part.template.config["task"]["length"] == 40


def test_no_two_spans_share_a_seed_nor_one_with_a_search() -> None:
    seeds = [range(first_seed(span), first_seed(span) + 1000) for span in (1, 2, 10, 400)]
    assert all(a.stop <= b.start for a, b in itertools.pairwise(seeds))
    assert seeds[0].start > 20_000


def test_spans_of_a_task_with_a_unit_are_multiples_of_it() -> None:
    (part,) = plan(["task=mqar", "model=gru", "max=250"]).parts
    assert part.next({}) == {16: 5, 32: 5}
    assert part.next({16: (5, 5), 32: (5, 5), 64: (0, 5), 128: (0, 5)}) == {46: 5}
    assert all(span % 2 == 0 for span in part.possible())


def test_the_usual_spans_are_multiples_of_any_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        MQAR, "span", property(lambda task: Span("length", 8, lambda span: (1, span), unit=16))
    )
    (part,) = plan(["task=mqar", "model=gru"]).parts
    assert (part.protocol.least, part.protocol.most) == (16, 400)
    assert part.next({}) == {16: 5, 32: 5}


def test_how_runs_end_is_part_of_the_protocol() -> None:
    (part,) = plan(["task=latch", "model=gru"]).parts
    assert (part.protocol.patience, part.protocol.stop_when_solved) == (None, True)
    (part,) = plan(["task=latch", "model=gru", "trainer.patience=2", "trainer.stop_when_solved=false"]).parts
    assert (part.protocol.patience, part.protocol.stop_when_solved) == (2, False)


def test_the_key_is_that_of_the_task() -> None:
    (part,) = plan(["task=time_warp", "model=gru", "task.length=1000"]).parts
    job = part.job(0, 40, 5)
    assert (job.config["task"]["warp"], job.config["task"]["length"]) == (40, 1000)


def test_entrants_of_a_file() -> None:
    Path("entrants.txt").write_text(
        "model=gru\n"
        "label=tuned model=gru optim.lr=0.02   # what was found\n"
        "\n"
        "model=rnn optim.clip_norm=2\n"
        "model=lstm optim.lr=0.1\n"
        "model=lstm 'model.cell.forget_bias=${seqbench.keep_bias:0.5}'\n"
    )
    found = plan(["task=latch"], "entrants.txt").parts
    labels = ["gru", "tuned", "rnn", "lstm lr=0.1", "lstm forget_bias=${seqbench.keep_bias:0.5}"]
    assert [part.label for part in found] == labels
    assert found[1].template.config["optim"]["lr"] == 0.02
    shares = [part.template.config["model"]["cell"].get("forget_bias") for part in found[3:]]
    assert shares[1] == "${seqbench.keep_bias:0.5}"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("model=nope", "There is no preset 'nope' in model."),
        ("model=gru optim.rate=1", "There is no key 'optim.rate' here."),
        ("model=rnn,gru", "model=rnn,gru: a line is one entrant, and this names several."),
        ("model=gru trainer.max_steps=5", "trainer.max_steps goes on the command line, for all entrants."),
        ("model=gru task.length=5", "task.length goes on the command line, for all entrants."),
        ("model=gru batch_size=5", "batch_size goes on the command line, for all entrants."),
        ("model=gru optim=sgd", "optim is on the command line as well; one of them has to go."),
        ("model=lstm", "'lstm' is the entrant of entrants.txt, line 1 too; give each a label=…."),
        ("model='gru", "a quote is not closed."),
        ("optim.lr=0.1", "the line names no model; begin it with model=…."),
        ("label=x", "the line names no model; begin it with model=…."),
    ],
)
def test_a_wrong_line_is_told_by_its_number(line: str, sentence: str) -> None:
    Path("entrants.txt").write_text(f"label=lstm model=lstm\n\n{line}\n")
    with pytest.raises(ConfigError) as said:
        plan(["task=latch", "optim=adam"], "entrants.txt")
    assert str(said.value).startswith(f"entrants.txt, line 3: {sentence}")


def test_of_several_tasks_and_models_that_which_lacks_a_key_is_named() -> None:
    bias, symbols = "model.cell.update_bias=1", "task.symbols=2"
    for words, which in (
        (["task=latch", "model=gru,rnn", bias], "model=rnn"),
        (["task=copy_memory,latch", "model=gru", symbols], "task=latch"),
    ):
        with pytest.raises(ConfigError, match=f"would have it, and {which} has not"):
            plan(words)


def test_models_are_in_the_file_or_on_the_command_line() -> None:
    Path("entrants.txt").write_text("model=lstm\n")
    with pytest.raises(
        ConfigError, match=r"^model=rnn,gru has no effect beside --jobs, each line of which names"
    ):
        plan(["task=latch", "model=rnn,gru"], "entrants.txt")
    with pytest.raises(ConfigError, match=r"missing.txt cannot be read: No such file"):
        plan(["task=latch"], "missing.txt")
