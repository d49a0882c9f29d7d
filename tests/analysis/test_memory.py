"""What is observed of a memory is what the model does with it, and what figures show is that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch.nn import functional as F

from seqbench.analysis.memory import (
    MOST_SENTENCES,
    NTMObservation,
    StoryObservation,
    can_observe,
    observe,
    used_locations,
)
from seqbench.errors import ConfigError
from seqbench.results.figures import COLOURS
from seqbench.tasks.base import generator

COPY = ["task=ntm_copy", "task.length=5", "task.bits=3", "task.eval_size=4"]
SMALL = ["model=ntm", "model.hidden_size=6", "model.cell.memory_size=9", "model.cell.word_size=4"]
HEADS = [*SMALL, "model.cell.read_heads=2", "model.cell.write_heads=3"]
STORIES = ["task=stories", "task.types=[two_facts]", "task.length=6", "task.eval_size=5"]


def stepped(cell, x):
    """Run a cell over x (B, T, F) step by step; return h, r, w and the memory after each step, (T, B, …)."""
    state = cell.initial_state(len(x))
    found = []
    for projected in cell.project(x).unbind(1):
        output, state = cell.step(projected, state)
        found.append((output[:, : cell.hidden_size], *state[-3:]))
    return [torch.stack(part).detach() for part in zip(*found, strict=True)]


@pytest.mark.parametrize("controller", ["lstm", "feed_forward"])
def test_heads_are_those_of_the_cells_steps(make_model, controller):
    model, task = make_model(*COPY, *HEADS, f"model.cell.controller={controller}")
    batch = task.validation()
    _, r, w, memory = stepped(model.layers[0], batch.inputs)
    before = torch.cat([model.layers[0].initial_state(4)[-1][None], memory[:-1]])
    outputs = torch.sigmoid(model(batch.inputs)[0]).detach()
    found = observe(model, task, batch)
    assert len(found) == 4
    for row, seen in enumerate(found):
        torch.testing.assert_close(seen.inputs, batch.inputs[row])
        torch.testing.assert_close(seen.read, r[:, row])
        torch.testing.assert_close(seen.reading, w[:, row, :2])
        torch.testing.assert_close(seen.writing, w[:, row, 2:])
        torch.testing.assert_close(seen.written, (memory - before)[:, row].sum(1))
        assert seen.outputs[:6].isnan().all()  # five vectors and the mark come first
        torch.testing.assert_close(seen.outputs[6:], outputs[row, 6:])
        assert list(seen.heads) == [
            "write head 1",
            "write head 2",
            "write head 3",
            "read head 1",
            "read head 2",
        ]


def test_what_is_written_is_what_is_added_less_what_is_erased(make_model):
    """With one head it is Σ_i w(i) (a − e ⊙ M(i)), by numpy from what the controller tells the head."""
    model, task = make_model(*COPY, *SMALL)
    batch = task.validation().rows(0, 1)
    cell = model.layers[0]
    h, _, w, memory = (part[:, 0].double().numpy() for part in stepped(cell, batch.inputs))
    told = np.clip(h @ cell.V.detach().double().numpy().T + cell.c.detach().double().numpy(), -20, 20)
    erase, add = 1 / (1 + np.exp(-told[:, -8:-4])), np.tanh(told[:, -4:])
    (seen,) = observe(model, task, batch)
    for t in range(1, 11):
        wanted = sum(w[t, 1, i] * (add[t] - erase[t] * memory[t - 1, i]) for i in range(9))
        np.testing.assert_allclose(seen.written[t], wanted, rtol=1e-4, atol=1e-6)
    assert seen.written.abs().max() > 0.1


def test_a_shorter_row_ends_where_it_ends_and_its_one_answer_stands_there(make_model):
    model, task = make_model(*STORIES, *SMALL, "model.num_layers=2")
    batch = task.validation()
    found = observe(model, task, batch)
    answers = torch.softmax(model(batch.inputs, batch.lengths)[0], dim=1).detach()
    lengths = batch.lengths.tolist()
    assert min(lengths) < max(lengths)
    x = F.one_hot(batch.inputs, task.inputs.size).float()
    w = stepped(model.layers[0], x)[2]
    for row, (seen, length) in enumerate(zip(found, lengths, strict=True)):
        assert len(seen.inputs) == len(seen.outputs) == len(seen.reading) == length
        torch.testing.assert_close(seen.writing[:, 0], w[:length, row, 1])
        torch.testing.assert_close(seen.outputs[-1], answers[row])
        assert seen.outputs[:-1].isnan().all()
        assert seen.note.endswith("The memory is that of the first of 2 layers.")


def test_the_model_is_as_it_was(make_model):
    model, task = make_model(*COPY, *SMALL)
    model.train()
    model.readout.eval()
    (seen,) = observe(model, task, task.validation().rows(0, 1))
    assert model.training and model.layers[0].training and not model.readout.training
    assert not seen.read.requires_grad and all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("preset", ["memn2n", "memory_network"])
def test_stories_are_told_in_their_order_with_the_models_attention(make_model, preset):
    model, task = make_model(*STORIES, f"model={preset}", "model.hidden_size=7")
    model.train()  # in which a memory network would look up what it is told
    batch = task.validation()
    stories = task.stories(generator("validation"), 5, "validation", 6, exact=False)
    found = observe(model, task, batch)
    assert model.training
    outputs, attention = model.eval()(batch.inputs, batch.lengths)
    answers = list(task.answers)
    chosen = (outputs if preset == "memn2n" else outputs[0]).argmax(1).tolist()
    for row, (seen, story) in enumerate(zip(found, stories, strict=True)):
        assert seen.sentences == [" ".join(sentence) for sentence in story.sentences]
        assert seen.question == " ".join(story.question)
        assert (seen.answer, seen.truth) == (answers[chosen[row]], story.answer)
        assert seen.facts == story.facts
        count = len(story.sentences)
        for i in range(count):  # the newest sentence comes first in the memory
            torch.testing.assert_close(seen.attention[:, i], attention[row, :, count - 1 - i].detach())
    assert len({len(seen.sentences) for seen in found}) > 1
    if preset == "memory_network":
        for seen, numbers in zip(found, outputs[2].tolist(), strict=True):
            assert [int(p.argmax()) if p.any() else -1 for p in seen.attention] == numbers


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=lstm"], "LSTM has no memory to look into; take ntm, memn2n or memory_network."),
        (["model=ntm", "model.bidirectional=true"], "bidirectional=true makes states that are not those"),
        (["model=ntm", "model.feedback=true"], "feedback=true makes states that are not those"),
        (["model=ntm", "model.num_layers=2", "model.dilation=2"], "dilation above 1 makes states of several"),
    ],
)
def test_what_cannot_be_observed_is_told(make_model, overrides, sentence):
    model, task = make_model(*COPY, *overrides, "model.hidden_size=4")
    assert not can_observe(model)
    with pytest.raises(ConfigError) as error:
        observe(model, task, task.validation())
    assert str(error.value).startswith(sentence)


def test_what_can_be_observed(make_model):
    assert can_observe(make_model(*COPY, *SMALL)[0])
    assert can_observe(make_model(*COPY, *SMALL, "model.num_layers=2")[0])
    for preset in ("memn2n", "memory_network"):
        assert can_observe(make_model(*STORIES, f"model={preset}")[0])


def test_a_story_longer_than_the_memory_is_told(make_model, make_task):
    model, _ = make_model(*STORIES, "task.eval_lengths=[6]", "model=memn2n")
    longer = make_task(*STORIES, "task.eval_lengths=[8]")
    with pytest.raises(ConfigError, match="has 8 sentences, and the memory has room for 6; take a shorter"):
        observe(model, longer, longer.test(8))


def weightings(places, size):
    """One head that is at these places, (T, 1, N)."""
    return F.one_hot(torch.tensor(places), size).float()[:, None]


def test_locations_that_are_used_stand_in_the_order_of_the_ring():
    assert used_locations(weightings([8, 9, 0, 1], 10)) == [8, 9, 0, 1]
    assert used_locations(weightings([3, 2, 7, 3], 10)) == [2, 3, 7]
    assert used_locations(weightings([2, 1, 8, 2], 10)) == [8, 1, 2]
    assert used_locations(weightings([4], 10)) == [4]
    assert used_locations(torch.full((3, 2, 6), 1 / 6)) == [0, 1, 2, 3, 4, 5]
    # A hundred steps at one place do not hide what a step at another writes; a trace of weight is no use.
    long = weightings([0] * 100 + [1, 2], 6)
    long[:, 0, 4] += 0.004
    assert used_locations(long) == [0, 1, 2]


def copied():
    """Two heads each: four steps, a memory of ten words of two numbers."""
    writing = torch.cat([weightings([8, 9, 0, 0], 10), weightings([3, 3, 3, 3], 10)], dim=1)
    return NTMObservation(
        inputs=torch.tensor([[1.0, 0], [0, 1], [0, 0], [0, 0]]),
        outputs=torch.tensor([[torch.nan], [torch.nan], [0.25], [0.75]]),
        written=torch.tensor([[0.5, -0.5], [0.1, 0.2], [0.0, 0.0], [0.0, 0.0]]),
        read=torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]], [[0.5, -2.0]], [[0.1, 0.2]]]),
        writing=writing,
        reading=0.5 * weightings([8, 8, 8, 9], 10) + 0.05,
    )


def test_the_table_tells_where_heads_are():
    table = copied().table()
    assert list(table.columns) == ["step", "write head 1", "write head 2", "read head"]
    assert list(table["step"]) == ["1", "2", "3", "4"]
    assert list(table["write head 1"]) == ["8 (1.00)", "9 (1.00)", "0 (1.00)", "0 (1.00)"]
    assert list(table["read head"]) == ["8 (0.55)", "8 (0.55)", "8 (0.55)", "9 (0.55)"]


def test_every_weight_has_a_row():
    seen = copied()
    frame = seen.weights()
    assert list(frame.columns) == ["step", "head", "location", "weight"] and len(frame) == 4 * 3 * 10
    for t in range(4):
        for name, part, head in [("write head 1", seen.writing, 0), ("write head 2", seen.writing, 1)]:
            its = frame[(frame["step"] == t + 1) & (frame["head"] == name)].set_index("location")["weight"]
            assert its.to_list() == part[t, head].tolist()
    last = frame.iloc[-1]
    assert (last["step"], last["head"], last["location"]) == (4, "read head", 9)
    assert last["weight"] == pytest.approx(0.55)


def test_the_figure_of_heads_shows_the_numbers():
    seen = copied()
    figure = seen.draw()
    panels = {panel.get_title("left"): panel for panel in figure.axes if panel.get_title("left")}
    names = ["input", "output", "written", "read", "write head 1", "write head 2", "read head"]
    assert sorted(panels) == sorted(names)

    def shown(name):
        (image,) = panels[name].images
        return image.get_array().filled(np.nan), image.get_clim()

    np.testing.assert_array_equal(shown("input")[0], seen.inputs.t())
    np.testing.assert_array_equal(shown("output")[0], seen.outputs.t())
    np.testing.assert_array_equal(shown("written")[0], seen.written.t())
    np.testing.assert_array_equal(shown("read")[0], seen.read[:, 0].t())
    assert shown("input")[1] == shown("output")[1] == (0, 1)
    assert shown("written")[1] == shown("read")[1] == (-2, 2)
    used = [8, 9, 0, 3]  # from behind the gap of 4 to 7, the widest
    for name, weighting in seen.heads.items():
        np.testing.assert_array_equal(shown(name)[0], weighting[:, used].t())
        assert shown(name)[1] == (0, 1)
        assert [label.get_text() for label in panels[name].get_yticklabels()] == ["8", "9", "0", "3"]
        # Between 0 and 3 locations are left out.
        assert [line.get_ydata()[0] for line in panels[name].get_lines()] == [2.5]
        assert panels[name].images[0].get_extent()[:2] == [0.5, 4.5]
    figure.draw_without_rendering()


def test_an_input_with_a_scale_of_its_own_names_it():
    seen = copied()
    signed = NTMObservation(
        2 * seen.inputs - 1, seen.outputs, seen.written, seen.read, seen.writing, seen.reading
    )
    titles = [panel.get_title("left") for panel in signed.draw().axes]
    assert "input (white is -1, black 1)" in titles


def told(sentences=4, facts=(3, 0)):
    attention = torch.zeros(2, sentences)
    attention[0, 3], attention[0, 1], attention[1, 0] = 0.75, 0.25, 1.0
    return StoryObservation(
        [f"sentence {i} ." for i in range(sentences)], "where ?", "garden", "attic", list(facts), attention
    )


def test_story_in_words():
    seen = told()
    assert seen.note == "Asked: where ? Answered: garden, and right were attic."
    table = seen.table()
    assert list(table.columns) == ["", "sentence", "hop 1", "hop 2", "fact"]
    assert table.to_numpy().tolist() == [
        ["0", "sentence 0 .", "", "1.00", "2"],
        ["1", "sentence 1 .", "0.25", "", ""],
        ["2", "sentence 2 .", "", "", ""],
        ["3", "sentence 3 .", "0.75", "", "1"],
    ]
    frame = seen.weights()
    assert list(frame.columns) == ["hop", "number", "sentence", "fact", "weight"]
    assert frame["weight"].to_list() == [0, 0.25, 0, 0.75, 1, 0, 0, 0]
    assert frame["fact"].to_list() == 2 * [True, False, False, True]
    assert "fact" not in told(facts=()).table().columns


def test_the_figure_of_a_story_shows_weights_and_facts():
    seen = told()
    figure = seen.draw()
    (panel,) = figure.axes
    np.testing.assert_array_equal(panel.images[0].get_array(), seen.attention.t())
    labels = panel.get_yticklabels()
    assert [label.get_text() for label in labels] == [f"sentence {i} .  {i}" for i in range(4)]
    coloured = [to_hex(label.get_color()) == COLOURS[1].lower() for label in labels]
    assert coloured == [True, False, False, True]
    texts = {(text.get_position(), text.get_text()) for text in panel.texts if text.get_text()}
    assert texts == {
        *(((0, 1), "0.25"), ((0, 3), "0.75"), ((1, 0), "1.00")),
        *(((1.5, 0), "  fact 2"), ((1.5, 3), "  fact 1")),
    }
    assert [label.get_text() for label in panel.get_xticklabels()] == ["hop 1", "hop 2"]
    assert figure.get_suptitle() == seen.note
    figure.draw_without_rendering()


def test_of_a_long_story_what_was_looked_up_is_shown_and_the_facts():
    seen = told(sentences=100, facts=(99,))
    (panel,) = seen.draw().axes
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert MOST_SENTENCES <= len(labels) <= MOST_SENTENCES + 1
    numbers = [int(label.split()[-1].strip("\u2007")) for label in labels]
    assert {0, 1, 3, 99} <= set(numbers) and numbers == sorted(numbers)
    assert panel.images[0].get_array()[numbers.index(3), 0] == 0.75


def test_attention_is_seen_up_to_the_end_that_the_model_says(make_model):
    model, task = make_model("model=seq2seq_attention", "task=reverse", "task.length=4")
    batch = task.test(5).rows(0, 3)
    outputs, attention = model.eval()(batch.inputs, steps=6)
    said = outputs.argmax(-1).tolist()
    ended = said[0].index(task.targets.end) if task.targets.end in said[0] else 5
    for row, seen in enumerate(observe(model, task, batch)):
        assert seen.source == [str(token) for token in batch.inputs[row].tolist()]
        assert seen.truth == [*reversed(seen.source), "end"]
        steps = len(seen.said)
        names = ["end" if token == task.targets.end else str(token) for token in said[row]]
        assert seen.said == names[:steps] and ("end" in seen.said[-1:] or steps == 6)
        torch.testing.assert_close(seen.attention, attention[row, :steps].detach())
        assert len(seen.weights()) == steps * 5 and list(seen.table()["said"]) == seen.said
        assert [label.get_text() for label in seen.draw().axes[0].get_xticklabels()] == seen.source
    assert len(observe(model, task, batch)[0].said) == ended + 1
    assert not can_observe(make_model("model=seq2seq", "task=reverse")[0])
