"""`seqbench show`: what a task and a model are."""

from __future__ import annotations

import pytest

from seqbench.config.presets import noted, preset_names
from seqbench.runs import memory


def test_a_task_and_a_model_with_what_was_typed(seqbench):
    said = seqbench(
        "show", "task=latch", "task.length=6", "task.eval_size=4", "model=leaky_rnn", "--sample", 2
    )
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "latch: Remember one bit, given at the start, through noise"
    assert "      input   +1   +1   +1   0.3  −0.5  0.1  0.6  −0.2      class 1 after the last step" in lines
    facts = dict(line.split("  ", 1) for line in lines if "  " in line and not line.startswith(" "))
    facts = {about: text.strip() for about, text in facts.items()}
    assert facts["length"] == "6"
    assert facts["metric"] == "accuracy, higher is better"
    assert facts["solved"].startswith(
        "every sequence with an error under 0.2 (Hochreiter & Schmidhuber, 1997"
    )
    assert facts["solved"].endswith(", by correct")
    assert facts["baseline"].startswith("loss 0.693; accuracy 50.0 %")
    assert facts["span"] == "task.length, at least 4; at 6 what has to be kept lies 3 to 5 steps back"
    assert [line for line in lines if line.startswith("Validation")] == [
        f"Validation sequence {i}, 6 steps:" for i in (0, 1)
    ]
    assert any("leaky unit" in line for line in lines)
    assert facts["parameters"] == f"{64 * 64 + 64 + 64 + 2 * 64 + 2:,} live"
    assert facts["state"] == "64 numbers for one sequence"
    assert facts["reaches"] == "time constants of 1 to 100 steps"
    rows = [line.split()[:2] for line in lines if line.startswith(("body", "readout"))]
    assert rows == [["body.layers.0", "LeakyRNN"], ["readout", "LinearReadout"]]
    assert max(map(len, lines)) < 200 and "\x1b" not in said.out


def test_a_model_alone_is_shown_at_a_task_that_it_takes(seqbench):
    said = seqbench("show", "model=memn2n", "model.hidden_size=3")
    assert said.code == 0, said.err
    assert said.out.startswith("memn2n: End-to-end memory network") and "stories, where" in said.out
    assert "Validation" not in said.out


def test_one_is_singular(seqbench):
    said = seqbench("show", "model=output_rnn", "model.hidden_size=3")
    assert "\nstate         1 number for one sequence\n" in said.out


def test_a_task_without_its_data_says_how_to_get_them(seqbench):
    said = seqbench("show", "task=mnist_rows")
    assert said.code == 2 and "seqbench data --get mnist" in said.err
    assert "at each step the 28 pixels of a row" in said.out, "what is known without data is shown"
    assert "98 % of the images right, the mark that the preset names: no mark is published" in said.out


@pytest.mark.usefixtures("dictionary")
def test_tokens_have_their_names(seqbench):
    said = seqbench("show", "task=g2p")
    assert said.code == 0, said.err
    line = said.out.splitlines()[-1]
    assert line.endswith(" end") and {*line.split()[1:-1]} <= {"AE", "B", "D", "IH", "N", "S"}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "Name a task, a model or both"),
        (["seed=1"], "Name a task, a model or both"),
        (["model=rnn,lstm"], "model=rnn,lstm: `seqbench show` shows one of them at a time."),
        (["task=lathc"], "Did you mean 'latch'?"),
        (["task=latch", "task.eval_size=3", "--sample", "4"], "--sample=4 is more than the 3 validation"),
        (["task=latch", "--sample", "-1"], "--sample=-1 is no number of examples."),
        (["task=latch", "model=memn2n"], "The model memn2n takes story tasks"),
        (["task=latch", "model=lstm", "model.hidden_size=0"], "model.hidden_size=0 leaves no unit"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_the_first_line(seqbench, words, reason):
    said = seqbench("show", *words)
    assert said.code == 2 and reason in said.err and said.err.count("\n") == 1 and not said.out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["task=latch", "task.length=1000000000"], "task.length=1000000000 make a batch of 256 GB,"),
        (["task=latch", "task.eval_size=1e9"], "task.eval_size=1000000000 makes a test set of 200 GB at"),
        (["model=lstm", "model.hidden_size=50000"], "model.hidden_size=50000 makes a model that takes "),
    ],
)
def test_what_does_not_fit_in_memory_is_not_made(seqbench, monkeypatch, words, reason):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**9)
    said = seqbench("show", *words)
    assert said.code == 2 and reason in said.err and not said.out


@pytest.mark.parametrize("columns", [40, 19, 9, 1])
def test_a_narrow_terminal_breaks_lines_and_gets_all(seqbench, monkeypatch, columns):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "30")
    said = seqbench("show", "task=latch", "task.length=30", "task.eval_size=2", "model=rnn")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    plot = [line for line in lines if "┤" in line]
    assert len(plot) == 2 and max(map(len, plot)) <= 40


@pytest.mark.slow
@pytest.mark.parametrize("preset", preset_names("task"))
def test_every_task_can_be_shown(seqbench, preset):
    said = seqbench("show", f"task={preset}")
    if noted("task", preset, "Data"):
        assert said.code == 2 and said.err.count("\n") == 1
        assert any(way in said.err for way in ("seqbench data --get", "put", "hub", "task.path="))
    else:
        assert said.code == 0, said.err
        assert "Validation sequence 0" in said.out and "\nbaseline " in said.out and "\nsolved " in said.out


@pytest.mark.slow
@pytest.mark.parametrize("preset", preset_names("model"))
def test_every_model_can_be_shown(seqbench, preset):
    said = seqbench("show", f"model={preset}")
    assert said.code == 0, said.err
    assert "\nparameters " in said.out and "\npart " in said.out
    assert any(sign in said.out for sign in ("(t)", " = ")), "it has equations"
