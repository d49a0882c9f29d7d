"""Records of models that do not make them themselves yet; `observe` and `unobservable` of `Model` follow."""

from __future__ import annotations

from inspect import signature
from typing import cast

import torch
from torch import nn

from seqbench.analysis.states import check_stack, trace
from seqbench.models import Seq2Seq, SequenceModel
from seqbench.models.memory import NTM, MemN2N, MemoryNetwork
from seqbench.models.model import Model
from seqbench.models.observations import Alignment, Heads, Lookups, Observation
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch


def unobservable(model: nn.Module) -> str | None:
    """Return why a model cannot be observed; None where it can."""
    if isinstance(model, Model):
        return model.unobservable()
    if isinstance(model, MemN2N | MemoryNetwork):
        return None
    if isinstance(model, Seq2Seq):
        return None if model.decoder.attention else "A fixed context has no attention that could be observed."
    inner = model.layers[0] if isinstance(model, SequenceModel) else model
    if not isinstance(inner, NTM):
        return f"{type(inner).__name__} has no memory or attention to look into."
    try:
        check_stack(model)
    except ValueError as error:
        return str(error)
    return None


def observe(model: nn.Module, task: Task, batch: Batch) -> Observation:
    """Return the record of a batch."""
    if isinstance(model, Model):
        return model.observe(**batch.arguments(signature(model.observe).parameters))
    if isinstance(model, SequenceModel):
        run = trace(model, batch.inputs, batch.lengths)
        cell = cast(NTM, model.layers[0])
        *_, words, weightings, memories = map(list, zip(*run.states[0], strict=True))
        before = [cell.initial_state(len(batch.inputs))[-1], *memories[:-1]]
        changes = [(new - old).sum(1) for old, new in zip(before, memories, strict=True)]
        read, w, written = (torch.stack(part, dim=1) for part in (words, weightings, changes))
        reading, writing = w[:, :, : cell.read_heads], w[:, :, cell.read_heads :]
        inputs = run.inputs[0].transpose(0, 1)
        return Heads(run.outputs, inputs, written, read, writing, reading, len(model.layers))
    if isinstance(model, Seq2Seq):
        outputs, attention = model(batch.inputs, batch.lengths, steps=batch.targets.shape[1])
        return Alignment(outputs, attention, model.end)
    outputs, attention = model(batch.inputs, batch.lengths)
    return Lookups(outputs[0] if isinstance(outputs, tuple) else outputs, attention)
