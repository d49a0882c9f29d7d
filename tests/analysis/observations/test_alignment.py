"""The alignment observed is the decoder's attention, and tables and figures show its numbers."""

from __future__ import annotations

import torch

from seqbench.analysis.observations import observe


def test_attention_is_shown_up_to_the_end_that_the_model_puts_out(make_model):
    model, task = make_model("model=seq2seq_attention", "task=reverse", "task.length=4")
    batch = task.test(5).rows(0, 3)
    outputs, attention = model.eval()(batch.inputs, steps=6)
    put_out = outputs.argmax(-1).tolist()
    ended = put_out[0].index(task.targets.end) if task.targets.end in put_out[0] else 5
    for row, seen in enumerate(observe(model, task, batch)):
        assert seen.source == [str(token) for token in batch.inputs[row].tolist()]
        assert seen.target == [*reversed(seen.source), "end"]
        steps = len(seen.output)
        names = ["end" if token == task.targets.end else str(token) for token in put_out[row]]
        assert seen.output == names[:steps] and ("end" in seen.output[-1:] or steps == 6)
        torch.testing.assert_close(seen.attention, attention[row, :steps].detach())
        assert len(seen.numbers()) == steps * 5 and list(seen.table()["output"]) == seen.output
        assert [label.get_text() for label in seen.draw().axes[0].get_xticklabels()] == seen.source
    assert len(observe(model, task, batch)[0].output) == ended + 1
