"""What models read and write, or attend to: observed in one sequence, tabulated and drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor, nn

from seqbench.analysis.states import Trace, check_stack, trace
from seqbench.errors import ConfigError
from seqbench.models import Seq2Seq, SequenceModel
from seqbench.models.memory import NTM, MemN2N, MemoryNetwork
from seqbench.results.figures import COLOURS, STYLE
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Bits, Classes
from seqbench.tasks.stories.base import StoryTask
from seqbench.tasks.translation.base import TwoSequencesTask

#: Sentences that a figure has room for.
MOST_SENTENCES = 40
#: The least weight that a table or figure tells.
LEAST = 0.005
#: A space as wide as a digit.
DIGIT_SPACE = "\u2007"
#: The ground of a panel, to be seen where there is nothing to show; and of lines over it.
GROUND, LINE = "#dceaf5", "#0072B2"


class Observation(ABC):
    """What a model's memory went through in one sequence."""

    @property
    @abstractmethod
    def note(self) -> str:
        """What a reader of table and figure has to know."""

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """Return what is told in short: text in every cell."""

    @abstractmethod
    def weights(self) -> pd.DataFrame:
        """Return every weight, one a row."""

    @abstractmethod
    def draw(self) -> Figure:
        """Return the figure."""


@dataclass(frozen=True)
class NTMObservation(Observation):
    """What the heads of a Neural Turing Machine did in a sequence of T steps.

    Attributes:
        inputs: of the machine; tokens are one-hot.
        outputs: of the model, in the targets' terms: chances of bits and classes, or numbers; nan at steps
            whose target does not count.
        written: by how much writing changed the memory, its words summed up.
        read: the words that the read heads read.
        writing: the weightings of the write heads.
        reading: the weightings of the read heads.
        layers: of the model, the first of which this is.
    """

    inputs: Float[Tensor, "T F"]
    outputs: Float[Tensor, "T O"]
    written: Float[Tensor, "T M"]
    read: Float[Tensor, "T R M"]
    writing: Float[Tensor, "T W N"]
    reading: Float[Tensor, "T R N"]
    layers: int = 1

    @property
    def heads(self) -> dict[str, Tensor]:
        """The weightings (T, N) of each head, by name."""
        return {
            f"{does} head{f' {i}' if part.shape[1] > 1 else ''}": weighting
            for does, part in [("write", self.writing), ("read", self.reading)]
            for i, weighting in enumerate(part.unbind(1), 1)
        }

    @property
    def note(self) -> str:
        layers = f" The memory is that of the first of {self.layers} layers." if self.layers > 1 else ""
        return (
            "Table: where each head's weighting is largest, and that weight. Figure: written is by how much "
            "the memory changed, summed over its locations; locations that no head made use of are left out; "
            f"blue is where no target counts.{layers}"
        )

    def table(self) -> pd.DataFrame:
        cells = {"step": [str(t) for t in range(1, len(self.inputs) + 1)]}
        for name, weighting in self.heads.items():
            weights, places = weighting.max(1)
            both = zip(places.tolist(), weights.tolist(), strict=True)
            cells[name] = [f"{place} ({weight:.2f})" for place, weight in both]
        return pd.DataFrame(cells)

    def weights(self) -> pd.DataFrame:
        steps, size = self.writing.shape[0], self.writing.shape[2]
        index = [range(1, steps + 1), list(self.heads), range(size)]
        every = torch.stack(list(self.heads.values()), dim=1).flatten()
        rows = pd.MultiIndex.from_product(index, names=["step", "head", "location"]).to_frame(index=False)
        return rows.assign(weight=every.tolist())

    def draw(self) -> Figure:
        return draw_heads(self)


@dataclass(frozen=True)
class StoryObservation(Observation):
    """Which of the N sentences of a story a model looked up, in each of K hops, to answer a question.

    Attributes:
        sentences: in the order of the story.
        question: asked at its end.
        answer: the model's.
        truth: the right one.
        facts: numbers of the sentences that this rests on, in the order of reasoning, as far as is known.
        attention: the weights of the sentences in each hop.
    """

    sentences: list[str]
    question: str
    answer: str
    truth: str
    facts: list[int]
    attention: Float[Tensor, "K N"]

    @property
    def note(self) -> str:
        right = "which is right" if self.answer == self.truth else f"and right were {self.truth}"
        return f"Asked: {self.question} Answered: {self.answer}, {right}."

    def table(self) -> pd.DataFrame:
        hops = {f"hop {k}": [_weight(w) for w in its.tolist()] for k, its in enumerate(self.attention, 1)}
        numbers = range(len(self.sentences))
        marks = {"fact": [self._mark(i) for i in numbers]} if self.facts else {}
        return pd.DataFrame({"": [str(i) for i in numbers], "sentence": self.sentences, **hops, **marks})

    def weights(self) -> pd.DataFrame:
        rows = [
            (hop, number, sentence, number in self.facts, weight)
            for hop, its in enumerate(self.attention.tolist(), 1)
            for number, (sentence, weight) in enumerate(zip(self.sentences, its, strict=True))
        ]
        return pd.DataFrame(rows, columns=["hop", "number", "sentence", "fact", "weight"])

    def draw(self) -> Figure:
        return draw_story(self)

    def _mark(self, number: int) -> str:
        """Return at which place of the reasoning a sentence comes, from 1; nothing where it does not."""
        return str(self.facts.index(number) + 1) if number in self.facts else ""


@dataclass(frozen=True)
class AlignmentObservation(Observation):
    """Which of the S tokens of its input a decoder attended to at each of the T steps that it took.

    Attributes:
        source: the tokens of the input.
        said: those that the model put out, fed its own, up to the end.
        truth: those that it should have.
        attention: the weights of the input's tokens at each step.
    """

    source: list[str]
    said: list[str]
    truth: list[str]
    attention: Float[Tensor, "T S"]

    @property
    def note(self) -> str:
        right = "which is right" if self.said == self.truth else f"and right were {' '.join(self.truth)}"
        return f"Said: {' '.join(self.said)}, {right}."

    def table(self) -> pd.DataFrame:
        columns = {
            f"{i} {token}": [_weight(w) for w in self.attention[:, i - 1].tolist()]
            for i, token in enumerate(self.source, 1)
        }
        return pd.DataFrame({"said": self.said, **columns})

    def weights(self) -> pd.DataFrame:
        rows = [
            (step, said, place, token, weight)
            for step, (said, its) in enumerate(zip(self.said, self.attention.tolist(), strict=True), 1)
            for place, (token, weight) in enumerate(zip(self.source, its, strict=True), 1)
        ]
        return pd.DataFrame(rows, columns=["step", "said", "place", "token", "weight"])

    def draw(self) -> Figure:
        return draw_alignment(self)


def can_observe(model: nn.Module) -> bool:
    """Say whether a model has a memory, or attention, that `observe` can look into."""
    return _obstacle(model) is None


def observe(model: nn.Module, task: Task, batch: Batch) -> list[Observation]:
    """Return what a model's memory goes through in each row of a batch, as the model is in use.

    Args:
        model: an NTM, of which the first layer is looked at; a MemN2N, a MemoryNetwork; or a Seq2Seq with
            attention.
        task: what the batch is of; it gives words to tokens and a meaning to outputs.
        batch: a few rows; every state that they go through is kept.

    Raises:
        ConfigError: the model has no such memory, or a story is longer than it.
    """
    obstacle = _obstacle(model)
    if obstacle is not None:
        raise ConfigError(obstacle)
    like = next(model.parameters())
    batch = batch.map(lambda part: part.to(like.device, like.dtype if part.is_floating_point() else None))
    with torch.no_grad(), _in_use(model):
        if isinstance(model, SequenceModel):
            return _observe_heads(model, task, batch)
        if isinstance(model, Seq2Seq):
            return _observe_alignment(model, task, batch)
        return _observe_stories(model, task, batch)


def _obstacle(model: nn.Module) -> str | None:
    """Return why nothing can be seen of a model's memory; None where something can."""
    if isinstance(model, MemN2N | MemoryNetwork):
        return None
    if isinstance(model, Seq2Seq):
        return (
            None if model.decoder.attention else "A fixed context is attended to as a whole: nothing to see."
        )
    inner = model.layers[0] if isinstance(model, SequenceModel) else model
    if not isinstance(inner, NTM):
        return f"{type(inner).__name__} has no memory to look into; take ntm, memn2n or memory_network."
    try:
        check_stack(model)
    except ValueError as error:
        return str(error)
    return None


@contextmanager
def _in_use(model: nn.Module) -> Iterator[None]:
    """Let a model be as it is in use, and afterwards as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _observe_heads(model: SequenceModel, task: Task, batch: Batch) -> list[Observation]:
    run = trace(model, batch.inputs, batch.lengths)
    cell = cast(NTM, model.layers[0])
    rows, steps = batch.inputs.shape[:2]
    *_, words, weightings, memories = map(list, zip(*run.states[0], strict=True))
    before = [cell.initial_state(rows)[-1], *memories[:-1]]
    changes = [(new - old).sum(1) for old, new in zip(before, memories, strict=True)]
    inputs, read, w, written = run.inputs[0], *map(torch.stack, (words, weightings, changes))
    outputs = _in_terms_of_targets(run, task, batch)
    lengths = [steps] * rows if batch.lengths is None else batch.lengths.tolist()
    return [
        NTMObservation(
            inputs=_plain(inputs[:length, row]),
            outputs=_plain(outputs[:length, row]),
            written=_plain(written[:length, row]),
            read=_plain(read[:length, row]),
            writing=_plain(w[:length, row, cell.read_heads :]),
            reading=_plain(w[:length, row, : cell.read_heads]),
            layers=len(model.layers),
        )
        for row, length in enumerate(lengths)
    ]


def _in_terms_of_targets(run: Trace, task: Task, batch: Batch) -> Float[Tensor, "T B O"]:
    """Return what a model takes the targets for; nan where none counts."""
    outputs = run.outputs
    if isinstance(task.targets, Bits):
        outputs = torch.sigmoid(outputs)
    elif isinstance(task.targets, Classes):
        outputs = torch.softmax(outputs, dim=-1)
    rows, steps = batch.inputs.shape[:2]
    t = torch.arange(steps, device=outputs.device)
    if task.targets.per_step:
        counts = torch.ones_like(t, dtype=torch.bool) if batch.mask is None else batch.mask
    else:
        ends = torch.full((rows, 1), steps) if batch.lengths is None else batch.lengths[:, None]
        outputs, counts = outputs[:, None].expand(-1, steps, -1), t == ends.to(t.device) - 1
    return outputs.masked_fill(~counts.expand(rows, steps)[..., None], torch.nan).transpose(0, 1)


def _observe_stories(model: nn.Module, task: Task, batch: Batch) -> list[Observation]:
    assert isinstance(task, StoryTask)
    # Of both kinds of model: a model that looks up facts puts out more than the answer.
    outputs, attention = model(batch.inputs, batch.lengths)
    chosen = (outputs[0] if isinstance(outputs, tuple) else outputs).argmax(1)
    words, answers = task.token_names()
    rows, steps = batch.inputs.shape
    lengths = [steps] * rows if batch.lengths is None else batch.lengths.tolist()
    facts = batch.extras["facts"].tolist() if "facts" in batch.extras else [[]] * rows
    found: list[Observation] = []
    for row, length in enumerate(lengths):
        *sentences, question = _sentences(batch.inputs[row, :length].tolist(), task.inputs.period)
        if len(sentences) > attention.shape[2]:
            raise ConfigError(
                f"A story has {len(sentences)} sentences, and the memory has room for "
                f"{attention.shape[2]}; take a shorter one."
            )
        said = [" ".join(words[token] for token in tokens) for tokens in (*sentences, question)]
        found.append(
            StoryObservation(
                sentences=said[:-1],
                question=said[-1],
                answer=answers[int(chosen[row])],
                truth=answers[int(batch.targets[row])],
                facts=[fact for fact in facts[row] if fact >= 0],
                # The memory has the newest sentence first.
                attention=_plain(attention[row, :, : len(sentences)].flip(1)),
            )
        )
    return found


def _observe_alignment(model: Seq2Seq, task: Task, batch: Batch) -> list[Observation]:
    assert isinstance(task, TwoSequencesTask)
    outputs, attention = model(batch.inputs, batch.lengths, steps=batch.targets.shape[1])
    sources, targets = task.token_names()
    rows, steps = batch.inputs.shape
    lengths = [steps] * rows if batch.lengths is None else batch.lengths.tolist()
    said, right = (_up_to_end(part.tolist(), model.end) for part in (outputs.argmax(-1), batch.targets))
    return [
        AlignmentObservation(
            source=[sources[token] for token in batch.inputs[row, :length].tolist()],
            said=[targets[token] for token in said[row]],
            truth=[targets[token] for token in right[row]],
            attention=_plain(attention[row, : len(said[row]), :length]),
        )
        for row, length in enumerate(lengths)
    ]


def _up_to_end(rows: list[list[int]], end: int) -> list[list[int]]:
    return [row[: row.index(end) + 1] if end in row else row for row in rows]


def _sentences(tokens: list[int], period: int) -> list[list[int]]:
    """Return the sentences of a story, with what follows the last of them, the question, at the end."""
    found: list[list[int]] = [[]]
    for token in tokens:
        found[-1].append(token)
        if token == period:
            found.append([])
    return found


def _plain(part: Tensor) -> Tensor:
    return part.detach().float().cpu()


def _weight(value: float) -> str:
    return f"{value:.2f}" if value >= LEAST else ""


def draw_heads(seen: NTMObservation) -> Figure:
    """Return the figure of what heads did, as Fig. 6 of Graves, Wayne & Danihelka (2014) has it.

        input                      output
        written                    read
        weightings of write heads  weightings of read heads

    Time goes to the right. The bar beside a row is the scale of both its panels; where that of the input is
    another it says so. Of signed numbers 0 is the grey between.
    """
    used = used_locations(torch.cat([seen.writing, seen.reading], dim=1))
    left = {name: w for name, w in seen.heads.items() if name.startswith("write")}
    right = {name: w for name, w in seen.heads.items() if name.startswith("read")}
    heads = max(len(left), len(right))
    height = max(min(0.09 * len(used), 4.0 / heads), 1.2)
    heights = [0.9, 1.1, *[height] * heads]
    with rc_context(STYLE):
        figure = Figure(figsize=(7.6, sum(heights) + 0.35 * len(heights)), dpi=150, layout="constrained")
        panels = figure.subplots(2 + heads, 2, sharex=True, height_ratios=heights)
        read = seen.read.flatten(1)
        own, taken = _scale(seen.inputs, least=1.0), _scale(seen.outputs, least=1.0)
        exchanged = _scale(seen.written, read)
        told = "" if own == taken else f" (white is {own[0]:.2g}, black {own[1]:.2g})"
        _steps(panels[0, 0], f"input{told}", seen.inputs, *own)
        _steps(panels[1, 0], "written", seen.written, *exchanged)
        images = [
            _steps(panels[0, 1], "output", seen.outputs, *taken),
            _steps(panels[1, 1], "read", read, *exchanged),
        ]
        for row, image in zip(panels, images, strict=False):
            for panel in row:
                panel.set_yticks([])
            figure.colorbar(image, ax=list(row), fraction=0.02, pad=0.01)
        for column, its in enumerate((left, right)):
            for panel in panels[2 + len(its) :, column]:
                panel.axis("off")
            for panel, (name, weighting) in zip(panels[2:, column], its.items(), strict=False):
                image = _steps(panel, name, weighting[:, used], 0.0, 1.0)
                _locations(panel, used, weighting.shape[1])
            panels[1 + len(its), column].tick_params(labelbottom=True)
        figure.colorbar(image, ax=list(panels[2:].flat), fraction=0.02, pad=0.01)
        figure.supxlabel("step", fontsize=9)
    return figure


def used_locations(weightings: Float[Tensor, "T heads N"]) -> list[int]:
    """Return the locations that heads made use of, in the order of the ring that they lie in.

    It begins after the widest gap. Made use of are those whose weights, over all steps and heads, come to
    half of what one head has to give in one step, or to half of an even share where that is less.
    """
    total = weightings.sum((0, 1))
    least = min(1.0, float(total.mean())) / 2
    used: list[int] = (total >= least).nonzero()[:, 0].tolist()
    gaps = [(here - before) % len(total) for before, here in zip([used[-1], *used], used, strict=False)]
    start = gaps.index(max(gaps))
    return used[start:] + used[:start]


def _scale(*parts: Tensor, least: float = 0.0) -> tuple[float, float]:
    """Return what white and black stand for: 0, or where numbers are below it −x, and x, at least `least`."""
    values = torch.cat([part.flatten() for part in parts]).nan_to_num(0.0)
    top = max(float(values.abs().max()), least) or 1.0
    return (-top if bool((values < 0).any()) else 0.0), top


def _steps(panel: Axes, name: str, values: Float[Tensor, "T rows"], low: float, high: float) -> AxesImage:
    """Show numbers of each step as a column of greys."""
    panel.set_title(name, loc="left", fontsize=9, fontweight="normal")
    image = _greys(panel, values.t(), low, high)
    steps, rows = values.shape
    image.set_extent((0.5, steps + 0.5, rows - 0.5, -0.5))
    return image


def _greys(panel: Axes, values: Tensor, low: float, high: float) -> AxesImage:
    panel.grid(False)
    panel.set_facecolor(GROUND)
    return panel.imshow(values.numpy(), "Greys", aspect="auto", interpolation="nearest", vmin=low, vmax=high)


def _locations(panel: Axes, used: list[int], size: int) -> None:
    """Name the locations that are shown, and draw a line where some between are not."""
    every = -(-len(used) // 10)
    panel.set_yticks(range(0, len(used), every), [str(place) for place in used[::every]])
    panel.set_ylabel("location")
    for i, (here, following) in enumerate(pairwise(used)):
        if (following - here) % size != 1:
            panel.axhline(i + 0.5, color=LINE, linewidth=0.8, linestyle=":")


def draw_story(seen: StoryObservation) -> Figure:
    """Return the figure of what was looked up: sentences by hops, the true facts in colour and numbered.

    Of a long story the sentences with the largest weights are shown, and the facts.
    """
    most = seen.attention.amax(0).topk(min(MOST_SENTENCES, len(seen.sentences))).indices.tolist()
    shown = sorted({*most, *seen.facts})
    digits = len(str(len(seen.sentences) - 1))
    labels = [f"{seen.sentences[i]}  {i:{DIGIT_SPACE}>{digits}}" for i in shown]
    hops = len(seen.attention)
    # A letter of this size is some 0.065 inches wide.
    width = 0.065 * max(max(map(len, labels)) + 10 * hops + 10, len(seen.note))
    with rc_context(STYLE):
        figure = Figure(figsize=(width, 0.24 * len(shown) + 0.8), dpi=150, layout="constrained")
        panel = figure.subplots()
        weights = seen.attention[:, shown].t()
        _greys(panel, weights, 0.0, 1.0)
        panel.xaxis.tick_top()
        panel.set_xticks(range(hops), [f"hop {k}" for k in range(1, hops + 1)])
        panel.set_yticks(range(len(shown)), labels)
        panel.set_xticks([k - 0.5 for k in range(hops + 1)], minor=True)
        panel.set_yticks([i - 0.5 for i in range(len(shown) + 1)], minor=True)
        panel.grid(which="minor")
        panel.tick_params(which="both", length=0)
        for spine in panel.spines.values():
            spine.set_visible(False)
        for y, (label, number) in enumerate(zip(panel.get_yticklabels(), shown, strict=True)):
            if number in seen.facts:
                label.set(color=COLOURS[1], fontweight="bold")
                mark = f"  fact {seen.facts.index(number) + 1}"
                panel.text(hops - 0.5, y, mark, va="center", color=COLOURS[1])
            for x, weight in enumerate(weights[y].tolist()):
                ink = "white" if weight > 0.5 else "black"
                panel.text(x, y, _weight(weight), ha="center", va="center", color=ink, fontsize=8)
        figure.suptitle(seen.note, x=0.01, ha="left", fontsize=9)
    return figure


def draw_alignment(seen: AlignmentObservation) -> Figure:
    """Return the figure of what a decoder attended to: the tokens said downwards, the input to the right."""
    steps, size = seen.attention.shape
    width = max(0.32 * size + 1.2, 0.065 * len(seen.note))
    with rc_context(STYLE):
        figure = Figure(figsize=(width, 0.26 * steps + 0.9), dpi=150, layout="constrained")
        panel = figure.subplots()
        _greys(panel, seen.attention, 0.0, 1.0)
        panel.xaxis.tick_top()
        panel.set_xticks(range(size), seen.source)
        panel.set_yticks(range(steps), seen.said)
        panel.tick_params(length=0)
        for spine in panel.spines.values():
            spine.set_visible(False)
        figure.suptitle(seen.note, x=0.01, ha="left", fontsize=9)
    return figure
