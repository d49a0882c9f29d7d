"""The Stanford Sentiment Treebank, in its own text files. The task reads them."""

from __future__ import annotations

from seqbench.data.source import TextSource

SOURCE = TextSource(
    title="Stanford Sentiment Treebank, parse trees with a label at every phrase",
    hub_id=None,
    pattern="train.txt",
    columns=("tree",),
    rows={"train": 8_544, "validation": 1_101, "test": 2_210},
    licence="none declared. The treebank is by R. Socher, A. Perelygin, J. Wu, J. Chuang, C. Manning,"
    " A. Ng and C. Potts; its trainDevTestTrees_PTB.zip is at https://nlp.stanford.edu/sentiment.",
)
