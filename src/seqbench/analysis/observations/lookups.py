"""Which sentences of a story a model looked up to answer a question."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from seqbench.analysis.observations.base import plain, present, show_weights, valid_steps, weight_text
from seqbench.analysis.presentation import Presentation
from seqbench.errors import ConfigError
from seqbench.models.observations import Lookups
from seqbench.results.figures import literal
from seqbench.results.styles import STYLE, VERMILION
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch

#: Sentences that a figure has room for.
MAX_SENTENCES = 40
#: A space as wide as a digit.
DIGIT_SPACE = "\u2007"


@dataclass(frozen=True)
class LookupsPresentation(Presentation):
    """The weights of the N sentences of one story in each of K hops.

    Attributes:
        sentences: in the order of the story.
        question: asked at its end.
        answer: the model's.
        target: the correct answer.
        facts: numbers of the sentences that the answer rests on, in the order of reasoning, where known.
        attention: the weights of the sentences in each hop.
    """

    title = "Which sentences are looked up"

    sentences: list[str]
    question: str
    answer: str
    target: str
    facts: list[int]
    attention: Float[Tensor, "K N"]

    @property
    def note(self) -> str:
        correct = "correct" if self.answer == self.target else f"correct: {self.target}"
        return f"Question: {self.question} Answer: {self.answer} ({correct})."

    def table(self) -> pd.DataFrame:
        numbers = range(len(self.sentences))
        columns = {"": [str(i) for i in numbers], "sentence": self.sentences}
        for hop, weights in enumerate(self.attention.tolist(), 1):
            columns[f"hop {hop}"] = [weight_text(weight) for weight in weights]
        if self.facts:
            columns["fact"] = [str(self.facts.index(i) + 1) if i in self.facts else "" for i in numbers]
        return pd.DataFrame(columns)

    def numbers(self) -> pd.DataFrame:
        rows = [
            (hop, number, sentence, number in self.facts, weight)
            for hop, weights in enumerate(self.attention.tolist(), 1)
            for number, (sentence, weight) in enumerate(zip(self.sentences, weights, strict=True))
        ]
        return pd.DataFrame(rows, columns=["hop", "number", "sentence", "fact", "weight"])

    def draw(self) -> Figure:
        """Return the figure: sentences by hops, the supporting facts coloured and numbered.

        Of a long story it has the sentences with the largest weights, and the facts.
        """
        top = self.attention.amax(0).topk(min(MAX_SENTENCES, len(self.sentences))).indices.tolist()
        shown = sorted({*top, *self.facts})
        digits = len(str(len(self.sentences) - 1))
        labels = [f"{self.sentences[i]}  {i:{DIGIT_SPACE}>{digits}}" for i in shown]
        hops = len(self.attention)
        # A letter of this size is some 0.065 inches wide.
        width = 0.065 * max(max(map(len, labels)) + 10 * hops + 10, len(self.note))
        with rc_context(STYLE):
            figure = Figure(figsize=(width, 0.24 * len(shown) + 0.8), dpi=150, layout="constrained")
            panel = figure.subplots()
            weights = self.attention[:, shown].t()
            show_weights(panel, weights, [f"hop {k}" for k in range(1, hops + 1)], labels)
            panel.set_xticks([k - 0.5 for k in range(hops + 1)], minor=True)
            panel.set_yticks([i - 0.5 for i in range(len(shown) + 1)], minor=True)
            panel.grid(which="minor")
            for y, (label, number) in enumerate(zip(panel.get_yticklabels(), shown, strict=True)):
                if number in self.facts:
                    label.set(color=VERMILION, fontweight="bold")
                    mark = f"  fact {self.facts.index(number) + 1}"
                    panel.text(hops - 0.5, y, mark, va="center", color=VERMILION)
                for x, weight in enumerate(weights[y].tolist()):
                    ink = "white" if weight > 0.5 else "black"
                    panel.text(x, y, weight_text(weight), ha="center", va="center", color=ink, fontsize=8)
            figure.suptitle(literal(self.note), x=0.01, ha="left", fontsize=9)
        return figure


@present.register
def present_lookups(observation: Lookups, task: Task, batch: Batch) -> list[Presentation]:
    """Return what was looked up in each story of a batch.

    Raises:
        ConfigError: a story has more sentences than the memory.
    """
    words, answers = task.token_names()
    period = task.model_arguments()["period"]
    places = observation.attention.shape[2]
    chosen = observation.outputs.argmax(1).tolist()
    facts = batch.extras["facts"].tolist() if "facts" in batch.extras else [[]] * len(chosen)
    found: list[Presentation] = []
    for row, steps in enumerate(valid_steps(batch)):
        *sentences, question = (
            " ".join(words[token] for token in tokens)
            for tokens in _split_sentences(batch.inputs[row, :steps].tolist(), period)
        )
        if len(sentences) > places:
            raise ConfigError(
                f"A story has {len(sentences)} sentences, and the memory has room for {places}; "
                "take a shorter one."
            )
        # The memory has the newest sentence first.
        attention = plain(observation.attention[row, :, : len(sentences)].flip(1))
        answer, target = answers[chosen[row]], answers[int(batch.targets[row])]
        marked = [fact for fact in facts[row] if fact >= 0]
        found.append(LookupsPresentation(sentences, question, answer, target, marked, attention))
    return found


def _split_sentences(tokens: list[int], period: int) -> list[list[int]]:
    """Return the sentences of a story; the last is what follows the last period, the question."""
    found: list[list[int]] = [[]]
    for token in tokens:
        found[-1].append(token)
        if token == period:
            found.append([])
    return found
