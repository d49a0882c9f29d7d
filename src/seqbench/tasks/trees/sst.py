"""SST: classify the sentiment of sentences from their parse trees (Socher et al., 2013)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from seqbench.data.source import data_folder
from seqbench.data.sst import FILES
from seqbench.errors import DataError
from seqbench.tasks.reading import lowered
from seqbench.tasks.specs import Classes
from seqbench.tasks.streams.fixed import LazyTask
from seqbench.tasks.trees.base import MARKS, Node, TreeDataTask, nodes, written

#: Labels of the treebank: very negative, negative, neutral, positive, very positive.
LABELS = ("0", "1", "2", "3", "4")
#: The class of each label, by the number of classes.
CLASSES = {5: {label: label for label in range(5)}, 2: {0: 0, 1: 0, 3: 1, 4: 1}}
#: The accuracy of the constituency tree-LSTM of Tai, Socher & Manning (2015).
PUBLISHED = {5: 0.51, 2: 0.88}
#: The token of a phrase, and of words that occur less than twice in training.
PHRASE, UNKNOWN = "<phrase>", "<unknown>"
#: How messages show the form of a line.
FORM = "such as (3 (2 good) (2 film))"


class SST(LazyTask, TreeDataTask):
    """Classify how much somebody likes a film, from the parse tree of a sentence.

        (3 (2 (2 a) (2 film)) (3 (2 worth) (3 seeing)))      a line of the treebank's file

        [ <phrase> [ <phrase> a film ] [ <phrase> worth seeing ] ]      class 3, positive

    The Stanford Sentiment Treebank (Socher et al., 2013): 8544, 1101 and 2210 sentences in the files
    `train.txt`, `dev.txt` and `test.txt` of its parse trees, in the folder `dataset` of `data_dir`. The
    treebank labels every phrase; here only the label of the sentence is learnt, and no label is part of the
    input. Published results, including the mark of `solved_when`, come from training on all phrases with
    word vectors from large corpora: they may be out of reach.

    The vocabulary holds the words that occur at least twice in training; all others share one token. Case is
    ignored. The data are read on first use.

    Args:
        classes: 5, or 2: negative and positive, without the neutral sentences.
        dataset: the folder of the files in `data_dir`.
        data_dir: the folder of the data sets.

    Raises:
        DataError: on first use, if the files are missing or do not have the treebank's form.
    """

    title = "the Stanford Sentiment Treebank"
    unknown = UNKNOWN

    def __init__(
        self, classes: Literal[5, 2] = 5, dataset: str = "sst", data_dir: str | Path = "data"
    ) -> None:
        self.dataset = dataset
        self.data_dir = data_dir
        self.variant = "fine-grained" if classes == 5 else "binary"
        self.targets = Classes(classes, per_step=False)
        self.solved_at = PUBLISHED[classes]
        self.solved_when = (
            f"{100 * self.solved_at:g} % of the sentences right, the mark of the constituency tree-LSTM"
            " (Tai et al., 2015)"
        )

    def longest(self) -> int:
        """Return the words of the longest sentence."""
        return max(
            sum(not node.children for node in nodes(tree))
            for found in self.examples.values()
            for tree, _ in found
        )

    @cached_property
    def examples(self) -> dict[str, list[tuple[Node, int]]]:
        folder = data_folder(self.dataset, self.data_dir)
        class_of = CLASSES[self.targets.size]
        known: set[str] = set()
        examples = {}
        for split, name in FILES.items():
            trees = [
                (tree, class_of[label]) for tree, label in read_trees(folder / name) if label in class_of
            ]
            if not trees:
                raise DataError(
                    f"{folder / name} has no sentence with a class; put the treebank's own file there."
                )
            if split == "train":
                counts = Counter(node.token for tree, _ in trees for node in nodes(tree))
                known = {word for word, count in counts.items() if count > 1 and word not in MARKS} | {PHRASE}
            examples[split] = [(with_known(tree, known), class_) for tree, class_ in trees]
        return examples

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        words = {node.token for tree, _ in self.examples["train"] for node in nodes(tree)}
        tokens = [*MARKS, PHRASE, UNKNOWN, *sorted(words - {PHRASE, UNKNOWN})]
        return {token: number for number, token in enumerate(tokens)}

    def normalised(self, sequence: Any) -> Any:
        """Return the tokens, in lower case, of a new tree, which may also be a line of the treebank."""
        if not isinstance(sequence, str) or not sequence.lstrip().startswith("("):
            return lowered(sequence)
        try:
            return written(read_tree(sequence)[0])[0]
        except ValueError as error:
            raise DataError(f"{sequence!r} is no tree in the treebank's form, {FORM}: {error}.") from error

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= self.solved_at


def with_known(tree: Node, known: set[str]) -> Node:
    """Return the tree with `UNKNOWN` in place of all unknown words."""
    token = tree.token if tree.token in known else UNKNOWN
    return Node(token, tuple(with_known(child, known) for child in tree.children))


def read_trees(path: Path) -> list[tuple[Node, int]]:
    """Read a file of the treebank: one tree per line, each with the label of its root.

    Raises:
        DataError: the file is missing or cannot be read, or a line is not one tree.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        raise DataError(
            f"There is no {path}; put {', '.join(FILES.values())} of the Stanford Sentiment Treebank there,"
            " from trainDevTestTrees_PTB.zip at https://nlp.stanford.edu/sentiment."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); put the treebank's own file there.") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(read_tree(line))
        except ValueError as error:
            raise DataError(
                f"Line {number} of {path} is not one tree in the treebank's form, {FORM}: {error}."
            ) from error
    return found


def read_tree(line: str) -> tuple[Node, int]:
    """Return the tree of a line, with the label of its root.

    Raises:
        ValueError: the line is not one tree.
    """
    found: tuple[Node, int] | None = None
    # A stack of the open nodes, each with its label and its content: one word, or nodes.
    open_nodes: list[tuple[int, list[str], list[Node]]] = []
    # A word may hold white space that is no plain blank: the treebank's 8 1\/2 does.
    parts = iter(re.findall(r"[()]|[^ \t\r\n()]+", line))
    for part in parts:
        if found is not None:
            raise ValueError("something follows the end of the tree, which has one root")
        if part == "(":
            label = next(parts, "")
            if label not in LABELS:
                raise ValueError(f"there is {label!r} in place of a label from 0 to 4")
            open_nodes.append((int(label), [], []))
        elif not open_nodes:
            raise ValueError("it does not begin with a bracket")
        elif part == ")":
            root, words, children = open_nodes.pop()
            if len(words) + bool(children) != 1:
                raise ValueError("a node must hold either one word or other nodes")
            node = Node(PHRASE, tuple(children)) if children else Node(words[0])
            if open_nodes:
                open_nodes[-1][2].append(node)
            else:
                found = node, root
        else:
            open_nodes[-1][1].append(part.lower())
    if found is None:
        raise ValueError("a bracket is not closed" if open_nodes else "it is empty")
    return found
