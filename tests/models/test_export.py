"""Export: which models `torch.export` takes, in torch's own operations."""

from __future__ import annotations

import inspect

import pytest
import torch

from seqbench.config.presets import default_task, model_accepts, preset_names

#: Small examples of the task at which a model is shown.
SMALL = {
    "adding": ["task.length=6"],
    "distracted_stories": ["task.length=5", "task.eval_lengths=[5]"],
    "reverse": ["task.length=3", "task.eval_lengths=[3]"],
    "listops": ["task.length=1", "task.eval_lengths=[1]"],
}
#: What makes a preset's model small, besides its width.
OPTIONS = {
    "ntm": ["model.cell.memory_size=4", "model.cell.word_size=2"],
    "dilated_rnn": ["model.num_layers=2"],
    "tcn": ["model.num_layers=2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", preset_names("model"))
def test_every_model_is_exported_but_those_whose_steps_depend_on_a_tree(make_model, preset):
    task = default_task(preset)
    small = [*SMALL[task], *OPTIONS.get(preset, ()), "model.hidden_size=4", "task.eval_size=2"]
    model, its_task = make_model(f"task={task}", f"model={preset}", *small)
    model.eval()
    wanted = inspect.signature(model.forward).parameters
    given = its_task.validation().arguments({*wanted} & {"inputs", "lengths", "parents"})
    if "steps" in wanted:
        given["steps"] = 4
    if model_accepts(preset) == ("tree",):
        with pytest.raises(RuntimeError, match="data-dependent"):
            torch.export.export(model, (), given)
        return
    with torch.no_grad():
        program = torch.export.export(model, (), given).module()
        (expected, _), (found, _) = model(**given), program(**given)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


KERNELS = [("model=gru",), ("model=lstm", "model.bidirectional=true"), ("model=rnn",)]


@pytest.mark.parametrize("options", KERNELS)
def test_models_of_torchs_own_kernels_are_exported_with_lengths(make_model, options):
    """Their kernels take packed sequences, which no graph has."""
    model, _ = make_model("task=adding", *options, "task.length=6", "model.hidden_size=4")
    x = torch.randn(3, 6, 2)
    with torch.no_grad():
        given = {"inputs": x, "lengths": torch.tensor([6, 1, 4])}
        program = torch.export.export(model.eval(), (), given).module()
        for lengths in (given["lengths"], torch.tensor([2, 6, 3])):
            (expected, _), (found, _) = (its(inputs=x, lengths=lengths) for its in (model, program))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
