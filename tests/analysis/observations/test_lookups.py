"""The lookups observed are the model's attention, and tables and figures show its numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from seqbench.analysis.observations import LookupsPresentation, observe
from seqbench.analysis.observations.lookups import MAX_SENTENCES
from seqbench.errors import ConfigError
from seqbench.results.styles import VERMILION
from seqbench.tasks.base import generator

STORIES = ["task=stories", "task.types=[two_facts]", "task.length=6", "task.eval_size=5"]


@pytest.mark.parametrize("preset", ["memn2n", "memory_network"])
def test_sentences_are_in_the_storys_order_with_the_models_attention(make_model, preset):
    model, task = make_model(*STORIES, f"model={preset}", "model.hidden_size=7")
    model.train()  # in which a memory network looks up the facts that it is given
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
        assert (seen.answer, seen.target) == (answers[chosen[row]], story.answer)
        assert seen.facts == story.facts
        count = len(story.sentences)
        for i in range(count):  # the newest sentence comes first in the memory
            torch.testing.assert_close(seen.attention[:, i], attention[row, :, count - 1 - i].detach())
    assert len({len(seen.sentences) for seen in found}) > 1
    if preset == "memory_network":
        for seen, numbers in zip(found, outputs[2].tolist(), strict=True):
            assert [int(p.argmax()) if p.any() else -1 for p in seen.attention] == numbers


def test_a_story_longer_than_the_memory_is_refused(make_model, make_task):
    model, _ = make_model(*STORIES, "task.eval_lengths=[6]", "model=memn2n")
    longer = make_task(*STORIES, "task.eval_lengths=[8]")
    with pytest.raises(ConfigError, match="has 8 sentences, and the memory has room for 6; take a shorter"):
        observe(model, longer, longer.test(8))


def looked_up(sentences=4, facts=(3, 0)):
    attention = torch.zeros(2, sentences)
    attention[0, 3], attention[0, 1], attention[1, 0] = 0.75, 0.25, 1.0
    return LookupsPresentation(
        [f"sentence {i} ." for i in range(sentences)], "where ?", "garden", "attic", list(facts), attention
    )


def test_story_in_words():
    seen = looked_up()
    assert seen.note == "Question: where ? Answer: garden (correct: attic)."
    table = seen.table()
    assert list(table.columns) == ["", "sentence", "hop 1", "hop 2", "fact"]
    assert table.to_numpy().tolist() == [
        ["0", "sentence 0 .", "", "1.00", "2"],
        ["1", "sentence 1 .", "0.25", "", ""],
        ["2", "sentence 2 .", "", "", ""],
        ["3", "sentence 3 .", "0.75", "", "1"],
    ]
    frame = seen.numbers()
    assert list(frame.columns) == ["hop", "number", "sentence", "fact", "weight"]
    assert frame["weight"].to_list() == [0, 0.25, 0, 0.75, 1, 0, 0, 0]
    assert frame["fact"].to_list() == 2 * [True, False, False, True]
    assert "fact" not in looked_up(facts=()).table().columns


def test_the_figure_of_a_story_shows_weights_and_facts():
    seen = looked_up()
    figure = seen.draw()
    (panel,) = figure.axes
    np.testing.assert_array_equal(panel.images[0].get_array(), seen.attention.t())
    labels = panel.get_yticklabels()
    assert [label.get_text() for label in labels] == [f"sentence {i} .  {i}" for i in range(4)]
    coloured = [to_hex(label.get_color()) == VERMILION.lower() for label in labels]
    assert coloured == [True, False, False, True]
    texts = {(text.get_position(), text.get_text()) for text in panel.texts if text.get_text()}
    assert texts == {
        *(((0, 1), "0.25"), ((0, 3), "0.75"), ((1, 0), "1.00")),
        *(((1.5, 0), "  fact 2"), ((1.5, 3), "  fact 1")),
    }
    assert [label.get_text() for label in panel.get_xticklabels()] == ["hop 1", "hop 2"]
    assert figure.get_suptitle() == seen.note
    figure.draw_without_rendering()


def test_of_a_long_story_the_sentences_looked_up_and_the_facts_are_shown():
    seen = looked_up(sentences=100, facts=(99,))
    (panel,) = seen.draw().axes
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert MAX_SENTENCES <= len(labels) <= MAX_SENTENCES + 1
    numbers = [int(label.split()[-1].strip("\u2007")) for label in labels]
    assert {0, 1, 3, 99} <= set(numbers) and numbers == sorted(numbers)
    assert panel.images[0].get_array()[numbers.index(3), 0] == 0.75
