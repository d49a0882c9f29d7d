"""The memory network of 2014: supporting facts teach it which sentences to look up."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqbench.models.memory.sentences import Encoding
from seqbench.models.memory.story_model import StoryModel
from seqbench.models.sizes import at_least_one

#: The most sentences that there is room for: all are compared with all.
MOST_SENTENCES = 10_000


class MemoryNetwork(StoryModel):
    """A story in a memory; one sentence after another is looked up, and the answer follows from these.

        question ──────────┬──▶ o₁ = argmax s_O(q, mᵢ) ──┬──▶ o₂ = argmax s_O([q, m_o₁], mᵢ) ──▶ …
        story ──▶ memory m ┘                             └────────▶ answer, from s_R([q, m_o₁, m_o₂, …], a)

        s_O(x, y) = Φ(x)ᵀ Uᵀ U Φ(y)                                   (5), both as sums of embedded words
        s_Ot(x, y, y′) = Φ(x)ᵀ Uᵀ U [Φ(y) − Φ(y′) + Φt(x, y, y′)]     (9), above 0 where y is preferred to y′

    The words of the question, of sentences looked up, and of candidates are embedded by separate matrices
    (section 3.1). Φt marks which is older: x than y, x than y′, y than y′ (section 3.4); x is as old as the
    sentence that was looked up last. The last mark is −1 if y is the newer. With 0, as printed, the newer of
    two sentences with the same words could not be preferred. Candidates are compared from the oldest to the
    newest; one that is preferred to the best so far takes its place.

    In training the model looks up the supporting facts f₁, f₂, …. The loss is that of the answer and, for
    each fact f and every other sentence f̄,

        max(0, γ − s_Ot(x, f, f̄)) + max(0, γ + s_Ot(x, f̄, f))         (6), (7), with times as in section 3.4

    summed over all f̄, where the paper draws one. Answers are learnt by their log-probability. If an answer
    rests on fewer sentences than there are hops, the model learns to choose the candidate `none`.

    Args:
        input_size: words V of the alphabet.
        output_size: answers.
        period: the token that ends a sentence.
        sentences: of the longest story.
        facts: the most sentences that an answer rests on; 0 if stories do not mark them.
        hidden_size: d, of embeddings.
        hops: sentences to look up; None for as many as an answer may rest on.
        margin: γ.
        encoding: bag, as in the paper; or position, the order of words counts (see `MemN2N`).
        memory_size: sentences there is room for; None for as many as the longest story has.

    Raises:
        ValueError: a size below 1, a story longer than the memory, or stories whose facts are not marked.

    Source: Weston, Chopra & Bordes (2014), "Memory networks".
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        period: int,
        sentences: int,
        facts: int,
        hidden_size: int = 50,
        hops: int | None = None,
        margin: float = 0.1,
        encoding: Encoding = "bag",
        memory_size: int | None = None,
    ) -> None:
        if facts < 1:
            raise ValueError(
                "These stories do not mark the sentences that an answer rests on, from which a memory "
                "network learns; take memn2n."
            )
        if not margin > 0:
            raise ValueError(f"margin={margin} must be above 0.")
        if memory_size is not None:
            at_least_one(MOST_SENTENCES, memory_size=(memory_size, "sentence"))
        hops = facts if hops is None else hops
        super().__init__(input_size, period, sentences, hidden_size, hops, encoding, memory_size)
        self.margin = margin
        self.facts = facts
        #: U, for words of the question, of sentences looked up by each hop, and of candidates.
        self.asked = self.weights(input_size, hidden_size)
        self.looked_up = self.weights(hops, input_size, hidden_size)
        self.candidate = self.weights(input_size, hidden_size)
        self.none = self.weights(hidden_size)  # the candidate for no sentence
        self.times = self.weights(hops, 3, hidden_size)  # Φt
        #: The same for s_R.
        self.answer_asked = self.weights(input_size, hidden_size)
        self.answer_from = self.weights(hops, input_size, hidden_size)
        self.readout = nn.Linear(hidden_size, output_size)

    def dead_entries(self) -> dict[str, Tensor]:
        """Return the masks of what training never uses.

        No question has a period. What is looked up last is part of no further query; after the last fact
        nothing is looked up; and before the first the query is as old as the question, which is older than
        no sentence.
        """
        masks = {
            name: torch.zeros(getattr(self, name).shape, dtype=torch.bool, device="cpu")
            for name in ("looked_up", "answer_from", "times")
        }
        masks["looked_up"][min(self.hops - 1, self.facts) :] = True
        masks["answer_from"][self.facts :] = True
        masks["times"][0, :2] = True
        masks["asked"] = self.of_the_period(self.asked)
        masks["answer_asked"] = self.of_the_period(self.answer_asked)
        return masks

    def forward(
        self,
        inputs: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"] | None = None,
        facts: Int[Tensor, "B F"] | None = None,
    ) -> tuple[tuple[Float[Tensor, "B O"], Float[Tensor, " B"], Int[Tensor, "B K"]], Float[Tensor, "B K N"]]:
        """Answer the questions of stories.

        Args:
            inputs: words, the question last.
            lengths: words of each row; None if all are valid.
            facts: numbers of the sentences that the answer rests on, −1 for none. They have an effect only in
                training mode.

        Returns:
            Three outputs: unnormalised log-probabilities of the answers; the loss of looking up, 0 without
            facts; the numbers of the sentences looked up, −1 for none. And for each hop and place of the
            memory, the newest sentence first, 1 if it was looked up.
        """
        story = self.split(inputs, lengths)
        age = torch.arange(self.rows, device=inputs.device)
        there = age <= story.number[:, None]  # row 0 is the candidate for no sentence
        true = self._true_rows(facts, story.number) if self.training and facts is not None else None

        candidates = story.encode(self.candidate)[:, 1:]
        none = self.none.expand(len(inputs), 1, -1)
        candidates = torch.cat([none, candidates], dim=1)
        from_each = [story.encode(matrix) for matrix in self.looked_up.unbind(0)]
        answer_each = [story.encode(matrix) for matrix in self.answer_from.unbind(0)]
        x = story.encode(self.asked)[:, 0]
        answer = story.encode(self.answer_asked)[:, 0]
        last = torch.zeros_like(story.number)  # the age of x: the question is the newest
        loss = torch.zeros_like(x[:, 0])
        chosen, marks = [], []
        for hop in range(self.hops):
            prefers = self._preferences(x, candidates, last, self.times[hop])
            if true is None:
                row = _winner(prefers, there)
            else:
                row = true[:, hop]
                loss = loss + self._ranking_loss(prefers, row, there)
            mark = (age == row[:, None]).to(x.dtype)
            mark = mark * (age > 0)
            x = x + (mark[:, None] @ from_each[hop])[:, 0]
            answer = answer + (mark[:, None] @ answer_each[hop])[:, 0]
            last = torch.where(row > 0, row, last)
            chosen.append(torch.where(row > 0, story.number - row, -1))
            marks.append(mark[:, 1:])
        outputs = (self.readout(answer), loss, torch.stack(chosen, dim=1))
        return outputs, torch.stack(marks, dim=1)

    def _true_rows(self, facts: Tensor, count: Tensor) -> Tensor:
        """Return the rows of the facts for each hop (B, hops); 0, none, if there are no more."""
        rows = torch.where(facts >= 0, count[:, None] - facts, 0)
        return nn.functional.pad(rows, (0, max(0, self.hops - rows.shape[1])))[:, : self.hops]

    def _preferences(self, x: Tensor, candidates: Tensor, last: Tensor, times: Tensor) -> Tensor:
        """Return s_Ot(x, y, y′) for each pair of candidates, (B, rows of y, rows of y′)."""
        scores = (candidates @ x[..., None])[..., 0]
        x_older_y, x_older_other, y_older = (x @ times.t()).unbind(-1)
        age = torch.arange(self.rows, device=x.device)
        older = (last[:, None] > age).to(x.dtype)  # x than each
        pairs = torch.sign(age[:, None] - age).to(x.dtype)
        return (
            (scores + x_older_y[:, None] * older)[:, :, None]
            - (scores - x_older_other[:, None] * older)[:, None]
            + y_older[:, None, None] * pairs
        )

    def _ranking_loss(self, prefers: Tensor, true: Tensor, there: Tensor) -> Tensor:
        mark = (torch.arange(self.rows, device=prefers.device) == true[:, None]).to(prefers.dtype)
        over = (mark[:, None] @ prefers)[:, 0]  # s_Ot(x, f, f̄) for each f̄
        under = (prefers @ mark[..., None])[..., 0]  # s_Ot(x, f̄, f)
        losses = (self.margin - over).clamp_min(0) + (self.margin + under).clamp_min(0)
        others = there * (1 - mark)
        return (losses * others).sum(1)


def _winner(prefers: Float[Tensor, "B rows rows"], there: Bool[Tensor, "B rows"]) -> Int[Tensor, " B"]:
    """Return the row that is preferred to the best before it, from the oldest to the newest."""
    best = torch.zeros_like(prefers[:, 0, 0], dtype=torch.int64)
    for row in range(prefers.shape[1] - 1, 0, -1):
        against = prefers[:, row].gather(1, best[:, None])[:, 0]
        best = torch.where((against > 0) & there[:, row], row, best)
    return best
