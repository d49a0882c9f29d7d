"""bAbI: the twenty sets of questions about stories by Weston et al. (2015)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from seqbench.data import load
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.batch import Batch
from seqbench.tasks.stories.base import PADDING, Answers, Story, StoryTask, Text, encode
from seqbench.tasks.streams.fixed import LazyTask, loss_by_frequency

SPLITS = {"train": "train", "validation": "valid", "test": "test"}
#: Sets there are.
SETS = range(1, 21)
#: Columns of the hub.
COLUMNS = ("task", "passage", "question", "answer")
#: The token of words that training has not.
UNKNOWN = "<unknown>"

#: Where the files of a folder are, by split and set.
Files = dict[str, dict[int, Path]]
#: The stories of a split, by set; those about one text stand together.
Texts = dict[str, dict[int, list[list[Story]]]]


class Babi(StoryTask, LazyTask):
    """Answer the questions of bAbI, each after all that its text says before it.

        1 Mary got the milk there.
        2 John moved to the bedroom.
        3 Where is John?        bedroom   2     john moved to the bedroom . where is john ?   rests on 1
        4 Mary went back to the kitchen.
        5 Where is the milk?    kitchen   1 4   mary got the milk there . …                   rests on 0 2

    On the left bAbI's own files, which number questions along with sentences; they are read from the folder
    `dataset` in `data_dir`, where there are any. The data set of the hub has no supporting facts.

    Words are those of training; all others are one. Case does not count. Where there is no validation set,
    the last tenth of each set's training texts is held out for it. The data are read on first use.

    Args:
        types: numbers of the sets, 1 to 20; None means all that are there.
        dataset: the folder of bAbI's files in `data_dir`.
        hub_id: the data set's name on the hub.
        data_dir: where data sets lie.

    Raises:
        ConfigError: there is no such set.
        DataError: on first use, if the data are missing or not as bAbI has them.
    """

    def __init__(
        self,
        types: Sequence[int] | None = None,
        dataset: str = "babi",
        hub_id: str = "Muennighoff/babi",
        data_dir: str | Path = "data",
    ) -> None:
        for number in types or ():
            if number not in SETS:
                raise ConfigError(f"task.types has {number}, and bAbI has sets 1 to 20; give some of these.")
        if types is not None and len(set(types)) != max(len(types), 1):
            raise ConfigError(
                "task.types is empty or has a set twice; give each once at most, or null for all."
            )
        self.numbers = None if types is None else tuple(types)
        self.dataset = dataset
        self.hub_id = hub_id
        self.data_dir = data_dir
        self.variant = "all sets" if types is None else f"sets {', '.join(map(str, types))}"

    @cached_property
    def types(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute that is set once asked for
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
        """The class of each answer; one that training has not can only be got wrong, but it is counted."""
        answers = sorted({story.answer for split in SPLITS for story in self._stories(split)})
        return {answer: i for i, answer in enumerate(answers)}

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return list(self.vocabulary), list(self.answers)

    def longest(self) -> int:
        """Return the sentences of the longest story."""
        return self.inputs.sentences

    @property
    def steps(self) -> int:
        return self._words("train")

    @cached_property
    def train(self) -> Batch:
        return self._batch("train")

    def validation(self) -> Batch:
        return self._batch("validation")

    def test(self, length: int) -> Batch:
        self._check(length)
        return self._batch("test")

    def baseline_loss(self, length: int) -> float:
        """Return the loss of the answers' frequencies in training, see `loss_by_frequency`."""
        self._check(length)
        train, test = ([story.answer for story in self._stories(split)] for split in ("train", "test"))
        return loss_by_frequency(train, test, len(self.answers))

    def _check(self, length: int) -> None:
        self.check_whole(length, "bAbI", f"stories of up to {self.length} sentences")

    def _stories(self, split: str) -> list[Story]:
        by_set = self._texts[split]
        return [story for number in self._texts["train"] for text in by_set[number] for story in text]

    def _words(self, split: str) -> int:
        """Return the words of a split's longest story, with its question."""
        return max(sum(map(len, story.sentences)) + len(story.question) for story in self._stories(split))

    def _batch(self, split: str) -> Batch:
        """Put a split into tokens, padded to its longest story."""
        vocabulary = self.vocabulary

        def known(words: list[str]) -> list[str]:
            return [word if word in vocabulary else UNKNOWN for word in words]

        stories = [
            story._replace(sentences=[known(s) for s in story.sentences], question=known(story.question))
            for story in self._stories(split)
        ]
        return encode(stories, vocabulary, self.answers, self._words(split), self.inputs.facts)

    @cached_property
    def _texts(self) -> Texts:
        folder = Path(self.data_dir) / self.dataset
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
            raise DataError(f"The data set {self.hub_id} of the hub has no column {error}.") from error
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
    """Read one of bAbI's files: texts, and of each a story for every question.

    Raises:
        DataError: the file cannot be read, or is not as bAbI has it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); put bAbI's own file there.") from error
    texts: list[list[Story]] = []
    sentences: list[list[str]] = []
    places: dict[int, int] = {}  # of numbered sentences among all; questions are numbered too
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
                f"Line {i} of {path} is not as bAbI has it: a number and a sentence, or a number, a question,"
                " its answer and the numbers of lines before it, with tabs between the last three."
            ) from error
    return texts


def words_of(sentence: str) -> list[str]:
    """Return a sentence in words, with a period at its end and nowhere else."""
    return [*(word for word in re.findall(r"[\w'-]+|[^\w\s]", sentence.lower()) if word != "."), "."]


def asked(question: str) -> list[str]:
    """Return a question in words."""
    return words_of(question)[:-1]
