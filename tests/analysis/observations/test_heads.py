"""The heads observed are those of the cell's steps, and tables and figures show their numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seqbench.analysis.observations import HeadsPresentation, observe
from seqbench.analysis.observations.heads import used_locations

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


@pytest.mark.parametrize("controller", ["lstm.LSTM", "feed_forward.FeedForward"])
def test_heads_are_those_of_the_cells_steps(make_model, controller):
    override = f"model.cell.controller._target_=seqbench.models.cells.{controller}"
    model, task = make_model(*COPY, *HEADS, override)
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
    """With one head it is Σ_i w(i) (a − e ⊙ M(i)), by numpy from the controller's h."""
    model, task = make_model(*COPY, *SMALL)
    batch = task.validation().rows(0, 1)
    cell = model.layers[0]
    h, _, w, memory = (part[:, 0].double().numpy() for part in stepped(cell, batch.inputs))
    wishes = np.clip(h @ cell.V.detach().double().numpy().T + cell.c.detach().double().numpy(), -20, 20)
    erase, add = 1 / (1 + np.exp(-wishes[:, -8:-4])), np.tanh(wishes[:, -4:])
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
    """Two write heads, one read head: four steps, a memory of ten words of two numbers."""
    writing = torch.cat([weightings([8, 9, 0, 0], 10), weightings([3, 3, 3, 3], 10)], dim=1)
    return HeadsPresentation(
        inputs=torch.tensor([[1.0, 0], [0, 1], [0, 0], [0, 0]]),
        outputs=torch.tensor([[torch.nan], [torch.nan], [0.25], [0.75]]),
        written=torch.tensor([[0.5, -0.5], [0.1, 0.2], [0.0, 0.0], [0.0, 0.0]]),
        read=torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]], [[0.5, -2.0]], [[0.1, 0.2]]]),
        writing=writing,
        reading=0.5 * weightings([8, 8, 8, 9], 10) + 0.05,
    )


def test_the_table_has_the_location_of_each_head():
    table = copied().table()
    assert list(table.columns) == ["step", "write head 1", "write head 2", "read head"]
    assert list(table["step"]) == ["1", "2", "3", "4"]
    assert list(table["write head 1"]) == ["8 (1.00)", "9 (1.00)", "0 (1.00)", "0 (1.00)"]
    assert list(table["read head"]) == ["8 (0.55)", "8 (0.55)", "8 (0.55)", "9 (0.55)"]


def test_every_weight_has_a_row():
    seen = copied()
    frame = seen.numbers()
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


def test_the_title_names_the_scale_of_an_input_with_its_own():
    seen = copied()
    signed = HeadsPresentation(
        2 * seen.inputs - 1, seen.outputs, seen.written, seen.read, seen.writing, seen.reading
    )
    titles = [panel.get_title("left") for panel in signed.draw().axes]
    assert "input (white is -1, black 1)" in titles
