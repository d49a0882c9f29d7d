"""bAbI, questions about stories, in its own text files or from the hub. The task reads both."""

from __future__ import annotations

from seqbench.data.source import TextSource

SOURCE = TextSource(
    title="bAbI, version 1.2, 20 sets of questions",
    hub_id="Muennighoff/babi",
    pattern="qa*_train.txt",
    columns=("passage", "question", "answer", "task"),
    rows={"train": 18_000, "validation": 2_000, "test": 20_000},
    licence="CC BY 3.0, copyright 2015 Facebook. bAbI is by J. Weston, A. Bordes, S. Chopra, A. M. Rush,"
    " B. van Merriënboer, A. Joulin and T. Mikolov.",
)
