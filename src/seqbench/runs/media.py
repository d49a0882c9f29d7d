"""The pictures of a run that dashboards show: its memory or attention, its gradient flow, samples."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from copy import deepcopy

import torch
from lightning.pytorch.loggers import Logger
from torch import nn

from seqbench.analysis.gradient_flow import GradientFlow, compare, decay, gradient_norms
from seqbench.analysis.observations import picture
from seqbench.analysis.samples import samples
from seqbench.errors import one_line, say_once
from seqbench.runs.generators import generators_kept
from seqbench.runs.record import Record
from seqbench.tasks.batch import Batch
from seqbench.training.loggers import log_metrics, show_figure, show_table, shows_figures

#: Seconds between two pictures of a run's memory: drawing one takes up to a second, and evaluations may be as
#: frequent.
PICTURE_SECONDS = 60.0
#: Validation sequences over which the gradient flow is a mean, and the most steps that they may have.
FLOW_ROWS, FLOW_STEPS = 16, 1000
#: Seconds that a run takes at least of which the flow is drawn too: to draw it takes a third of one.
FLOW_SECONDS = 10.0
#: Validation sequences that are shown as samples.
SAMPLE_ROWS = 8


class Media:
    """Shows pictures of runs, in every logger that can show them. They change no number of a run."""

    def __init__(self) -> None:
        self._shown_at: dict[int, float] = {}  # by the record's id: when its memory was last drawn

    def show(self, record: Record, model: nn.Module, is_last: bool) -> None:
        """Show a run as it is: its memory at most once a minute and at the end, the rest at the end alone.

        Args:
            record: of the run.
            model: as it was just evaluated.
            is_last: whether the run has ended.
        """
        loggers = [logger for logger in record.loggers if shows_figures(logger)]
        now = time.perf_counter()
        due = is_last or now - self._shown_at.get(id(record), -math.inf) >= PICTURE_SECONDS
        if not loggers or record.status == "diverged" or not due:
            return
        self._shown_at[id(record)] = now
        # Lightning evaluates in a mode in which no tensor can have a gradient.
        with generators_kept(), torch.inference_mode(False), torch.enable_grad():
            batch = record.task.first_sequences(FLOW_ROWS).map(torch.clone)
            for show in (_memory, _gradient_flow, _samples) if is_last else (_memory,):
                try:
                    show(record, model, batch, loggers)
                except Exception as error:  # a picture that cannot be drawn must not end a run
                    name = show.__name__.strip("_").replace("_", " ")
                    say_once(f"{record.run.rpartition('/')[0]}: no picture of its {name}: {one_line(error)}.")


def _memory(record: Record, model: nn.Module, batch: Batch, loggers: Sequence[Logger]) -> None:
    """Show what a model's memory or attention does with the first sequence."""
    if (figure := picture(model, record.task, batch)) is not None:
        for logger in loggers:
            show_figure(logger, "memory", figure, record.step)


def _gradient_flow(record: Record, model: nn.Module, batch: Batch, loggers: Sequence[Logger]) -> None:
    """Show how the norm of the gradient falls with distance from the loss, of a stack of recurrent cells."""
    if batch.inputs.shape[1] > FLOW_STEPS:
        return
    try:
        norms = gradient_norms(deepcopy(model).cpu(), record.task.targets, batch.rows(0, FLOW_ROWS))
    except ValueError:  # it is no such stack, or a row has no target
        return
    preset = record.run.split("/")[1].rpartition("-")[0]
    flow = compare({preset: [norms]})
    figure = GradientFlow(flow, "").draw() if record.wall_seconds >= FLOW_SECONDS else None
    for logger in loggers:
        log_metrics(logger, {"gradient_flow/log10_per_step": decay(flow)}, record.step)
        if figure is not None:
            show_figure(logger, "gradient_flow", figure, record.step)


def _samples(record: Record, model: nn.Module, batch: Batch, loggers: Sequence[Logger]) -> None:
    """Show what a model makes of the first sequences."""
    if (table := samples(model, record.task, batch.rows(0, SAMPLE_ROWS))) is not None:
        for logger in loggers:
            show_table(logger, "samples", table, record.step)
