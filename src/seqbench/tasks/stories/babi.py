"""bAbI: twenty sets of questions about stories (Weston et al., 2015)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from seqbench.data import load
from seqbench.data.source import data_folder
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.batch import Batch
from seqbench.tasks.reading import lowered
from seqbench.tasks.stories.base import PADDING, Answers, Story, StoryTask, Text, encode
from seqbench.tasks.streams.fixed import LazyTask

#: The name of each split in bAbI's file names.
SPLITS = {"train": "train", "validation": "valid", "test": "test"}
#: The numbers of the sets.
SETS = range(1, 21)
#: The columns of the data set on the hub.
COLUMNS = ("task", "passage", "question", "answer")
#: The token of words that do not occur in training.
UNKNOWN = "<unknown>"

#: The files of a folder, by split and set.
Files = dict[str, dict[int, Path]]
#: The stories by split and set; a text is the list of the stories that are its beginnings.
Texts = dict[str, dict[int, list[list[Story]]]]


class Babi(StoryTask, LazyTask):
    """Answer the questions of bAbI, each from the sentences of its text before it.

        1 Mary got the milk there.
        2 John moved to the bedroom.
        3 Where is John?        bedroom   2     john moved to the bedroom . where is john ?   facts 1
        4 Mary went back to the kitchen.
        5 Where is the milk?    kitchen   1 4   mary got the milk there . …                   facts 0 2

    The left side shows bAbI's own files, which number questions and sentences together. They are read from
    the folder `dataset` in `data_dir`, if there are any. The data set on the hub has no supporting facts.

    The vocabulary holds the words of training; all others share one token. Case is ignored. A set without a
    validation file has the last tenth of its training texts held out for validation. The data are read on
    first use.

    Args:
        types: the numbers of the sets, 1 to 20; None means all sets of the data.
        dataset: the folder of bAbI's files in `data_dir`.
        hub_id: the data set's name on the hub.
        data_dir: the folder of the data sets.

    Raises:
        ConfigError: there is no such set.
        DataError: on first use, if the data are missing or do not have bAbI's form.
    """

    title = "bAbI"
    unknown = UNKNOWN
    contents = "stories of up to {} sentences"

    def __init__(
        self,
        types: Sequence[int] | None = None,
        dataset: str = "babi",
        hub_id: str = "Muennighoff/babi",
        data_dir: str | Path = "data",
    ) -> None:
        for number in types or ():
            if number not in SETS:
                raise ConfigError(f"task.types has {number}, but bAbI has sets 1 to 20; give some of these.")
        if types is not None and len(set(types)) != max(len(types), 1):
            raise ConfigError(
                "task.types is empty or has a set twice; give each at most once, or null for all."
            )
        self.numbers = None if types is None else tuple(types)
        self.dataset = dataset
        self.hub_id = hub_id
        self.data_dir = data_dir
        self.variant = "all sets" if types is None else f"sets {', '.join(map(str, types))}"

    @cached_property
    def types(self) -> tuple[str, ...]:  # type: ignore[override]  # a plain attribute elsewhere
        return tuple(f"qa{number}" for number in self._texts["train"])

    @cached_property
    def inputs(self) -> Text:  # type: ignore[override]
        stories = [story for split in SPLITS for story in self._stories(split)]
        return Text(
            size=len(self.vocabulary),
            period=self.vocabulary["."],
            sentences=max(len(story.sentences) for story in stories),
            words=max(max(map(len, [*story.sentences, story.question])) for story in stories),
            facts=max(len(story.facts) for story in stories),
        )

    @cached_property
    def targets(self) -> Answers:  # type: ignore[override]
        return Answers(len(self.answers), per_step=False)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """The token of each word of the training set."""
        words = {
            word
            for story in self._stories("train")
            for sentence in [*story.sentences, story.question]
            for word in sentence
        }
        return {word: token for token, word in enumerate([PADDING, UNKNOWN, *sorted(words)])}

    @cached_property
    def answers(self) -> dict[str, int]:
        """The class of each answer, including those that do not occur in training."""
        answers = sorted({story.answer for split in SPLITS for story in self._stories(split)})
        return {answer: i for i, answer in enumerate(answers)}

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return list(self.vocabulary), list(self.answers)

    def normalised(self, sequence: Any) -> Any:
        return lowered(sequence)

    def longest(self) -> int:
        """Return the sentences of the longest story."""
        return self.inputs.sentences

    def chance(self, length: int) -> dict[str, float]:
        known = super().chance(length)
        return known | {"error": 1 - known["accuracy"]}

    @property
    def steps(self) -> int:
        return self._words("train")

    def read_split(self, split: str) -> Batch:
        vocabulary = self.vocabulary

        def known(words: list[str]) -> list[str]:
            return [word if word in vocabulary else UNKNOWN for word in words]

        stories = [
            story._replace(sentences=[known(s) for s in story.sentences], question=known(story.question))
            for story in self._stories(split)
        ]
        return encode(stories, vocabulary, self.answers, self._words(split), self.inputs.facts)

    def _stories(self, split: str) -> list[Story]:
        by_set = self._texts[split]
        return [story for number in self._texts["train"] for text in by_set[number] for story in text]

    def _words(self, split: str) -> int:
        """Return the words of a split's longest story, including its question."""
        return max(sum(map(len, story.sentences)) + len(story.question) for story in self._stories(split))

    @cached_property
    def _texts(self) -> Texts:
        folder = data_folder(self.dataset, self.data_dir)
        files = find_files(folder)
        texts = self._read_files(folder, files) if files["train"] else self._read_hub()
        for number, train in texts["train"].items():
            if number not in texts["validation"]:
                held_out = -max(1, len(train) // 10)
                texts["train"][number] = train[:held_out]
                texts["validation"][number] = train[held_out:]
        for split, by_set in texts.items():
            for number, found in by_set.items():
                if not any(found):
                    raise DataError(f"Set {number} of bAbI has too few questions: its {split} set is empty.")
        return texts

    def _read_files(self, folder: Path, files: Files) -> Texts:
        numbers = self.numbers or tuple(sorted(set(files["train"]) & set(files["test"])))
        for split in ("train", "test"):
            for number in numbers or sorted(files["train"]):
                if number not in files[split]:
                    raise DataError(
                        f"There is no qa{number}_…_{split}.txt in {folder}; put bAbI's file there, or leave"
                        f" {number} out of task.types."
                    )
        return {
            split: {n: read_texts(files[split][n], i) for i, n in enumerate(numbers) if n in files[split]}
            for split in SPLITS
        }

    def _read_hub(self) -> Texts:
        rows = {split: load(self.dataset, self.hub_id, split, self.data_dir) for split in SPLITS}
        try:
            columns = {
                split: list(zip(*(table[name][:] for name in COLUMNS), strict=True))
                for split, table in rows.items()
            }
        except (KeyError, ValueError) as error:
            raise DataError(f"The data set {self.hub_id} on the hub has no column {error}.") from error
        numbers = self.numbers or sorted({int(task) for task, *_ in columns["train"]})
        texts: Texts = {split: {number: [] for number in numbers} for split in SPLITS}
        for split, found in columns.items():
            for task, passage, question, answer in found:
                if int(task) in texts[split]:
                    sentences = [words_of(line) for line in passage.splitlines()]
                    type_ = numbers.index(int(task))
                    story = Story(sentences, asked(question), answer.strip().lower(), [], type_)
                    texts[split][int(task)].append([story])
        return texts


def find_files(folder: Path) -> Files:
    """Return bAbI's files in a folder, such as `qa1_single-supporting-fact_train.txt`, `qa1_valid.txt`."""
    files: Files = {split: {} for split in SPLITS}
    for path in sorted(folder.glob("qa*.txt")):
        for split, name in SPLITS.items():
            if found := re.fullmatch(rf"qa(\d+)_(.+_)?{name}\.txt", path.name):
                files[split][int(found[1])] = path
    return files


def read_texts(path: Path, type_: int) -> list[list[Story]]:
    """Read a file of bAbI: the texts, each with a story for every question.

    Raises:
        DataError: the file cannot be read, or does not have bAbI's form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); put bAbI's own file there.") from error
    texts: list[list[Story]] = []
    sentences: list[list[str]] = []
    places: dict[int, int] = {}  # the sentence number by line number: questions have line numbers too
    for i, line in enumerate(lines, 1):
        number, _, rest = line.strip().partition(" ")
        try:
            if int(number) == 1:
                texts.append([])
                sentences, places = [], {}
            if "\t" not in rest:
                places[int(number)] = len(sentences)
                sentences.append(words_of(rest))
                continue
            question, answer, *facts = (part.strip() for part in rest.split("\t"))
            supporting = [places[int(fact)] for fact in " ".join(facts).split()]
            texts[-1].append(Story(sentences[:], asked(question), answer.lower(), supporting, type_))
        except (ValueError, KeyError, IndexError) as error:
            raise DataError(
                f"Line {i} of {path} does not have bAbI's form: a number and a sentence, or a number, a"
                " question, its answer and the numbers of earlier lines, with tabs between the last three."
            ) from error
    return texts


def words_of(sentence: str) -> list[str]:
    """Return the words of a sentence, with a period at its end and nowhere else."""
    return [*(word for word in re.findall(r"[\w'-]+|[^\w\s]", sentence.lower()) if word != "."), "."]


def asked(question: str) -> list[str]:
    """Return the words of a question."""
    return words_of(question)[:-1]
