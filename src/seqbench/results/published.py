"""What the literature reports: the entries of results/published.yaml, and which of them fit a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seqbench.config.identity import with_defaults
from seqbench.errors import ConfigError, one_line
from seqbench.results.numbers import measured
from seqbench.runs.result import Result

#: What an entry may report beside the metrics of its task, and how a cell calls it.
BESIDE = {"sequences": " sequences", "solved": " solved"}
#: Metrics that are shares, written in per cent.
SHARES = ("solved", "accuracy", "correct", "exact", "error", "word_error", "phoneme_error")
#: What is better where it is larger; of all others less is better.
LARGER_IS_BETTER = ("solved", "accuracy", "correct", "exact", "capacity")
#: How sure a reading is, in the words of a page.
CERTAINTY = {
    "read": "read in the paper or its code",
    "quoted": "quoted in another paper or in notes",
    "memory": "from memory",
    "unsure": "from memory, unsure",
}


#: The file of all entries: inside the package in a wheel, in `results` in a checkout.
FILE = next(
    path
    for path in (
        Path(__file__).parents[1] / "published.yaml",
        Path(__file__).parents[3] / "results" / "published.yaml",
    )
    if path.is_file()
)


class Entry(BaseModel):
    """What one table or figure of a paper reports.

    Attributes:
        task: the preset of the task.
        settings: dotted key to value: what a run must have for the entry to fit it.
        metric: of the task, a share as 0 to 1; or `sequences`, training sequences until the task was solved;
            or `solved`, the share of seeds that solved it.
        values: model, in the paper's words, to value.
        spread: model to the ± that the paper prints, whatever it is there.
        source: the paper.
        at: the table, figure or section.
        protocol: what a reader must know before comparing.
        certainty: how sure the reading is, see `CERTAINTY`.
        least: dotted key to the least value that a run must have to be judged, beside `settings`.
        beyond: whether values are means over test lengths above that of training, of the best seed.
        comparable: whether a run can be judged: the data and the measure are those here, and the value is
            exact enough.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    settings: dict[str, bool | int | float | str | None]
    metric: str
    values: dict[str, float] = Field(min_length=1)
    spread: dict[str, float] = {}
    source: str
    at: str
    protocol: str
    certainty: Literal["read", "quoted", "memory", "unsure"]
    least: dict[str, float] = {}
    beyond: bool = False
    comparable: bool = True

    @model_validator(mode="after")
    def _spread_is_of_values(self) -> Entry:
        if strangers := self.spread.keys() - self.values.keys():
            raise ValueError(f"spread of {', '.join(strangers)}, which has no value")
        return self

    @property
    def told(self) -> list[str]:
        """Each model with its value: `RNN 0.177`."""
        unit = "share" if self.metric in SHARES else ""
        told = []
        for model, value in self.values.items():
            text = f"{value:,.0f}" if self.metric == "sequences" else measured(value, unit)
            spread = f" ± {measured(self.spread[model], unit)}" if model in self.spread else ""
            told.append(f"{model} {text}{spread}")
        return told

    def __str__(self) -> str:
        """`Published: RNN 0.177; LSTM 0.164 (loss). Bai, … (2018), Table 1, read …; protocol: …`."""
        return (
            f"Published: {'; '.join(self.told)} ({self.metric}). {self.source}, {self.at}; "
            f"{CERTAINTY[self.certainty]}. Protocol: {self.protocol}."
        )


class UniqueKeys(yaml.SafeLoader):
    """Reads plain YAML, and refuses a key that is there twice, of which the last would count."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        for key, (its, _) in zip(keys, node.value, strict=True):
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"found duplicate key {key}", its.start_mark
                )
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def read_published(path: Path = FILE) -> list[Entry]:
    """Return the entries of a file; by default of results/published.yaml.

    Raises:
        ConfigError: it cannot be read, or an entry is none.
    """
    try:
        told: Any = yaml.load(path.read_text(encoding="utf-8"), UniqueKeys)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {one_line(error)}.") from error
    found = told.get("entries") if isinstance(told, dict) else None
    if not isinstance(found, list):
        raise ConfigError(f"{path} cannot be read: it wants a list of `entries`.")
    entries = []
    for number, entry in enumerate(found, 1):
        try:
            entries.append(Entry.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            reason = first["msg"].removeprefix("Value error, ")
            raise ConfigError(f"{path}: entry {number}{f', {where}' if where else ''}: {reason}.") from error
    return entries


def published(task: str, settings: Mapping[str, Any], entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that fit a task with these settings.

    Args:
        task: the preset of the task.
        settings: dotted key to value, defaults included: `{"task.length": 100, "task.variant": "1997"}`.
        entries: all that there are.
    """
    return [
        entry
        for entry in entries
        if entry.task == task
        and all(key in settings and settings[key] == value for key, value in entry.settings.items())
    ]


@dataclass(frozen=True)
class Reported:
    """What a paper reports on the task of a table.

    Attributes:
        entry: all of it.
        lengths: the training lengths that it is about, which have a column each; none where it is about
            several together, and the table's task has a length.
    """

    entry: Entry
    lengths: tuple[int, ...]


def reported_for(
    results: Sequence[Result], lengths: Sequence[int], entries: Iterable[Entry]
) -> list[Reported]:
    """Return what the literature reports on a task.

    Args:
        results: the runs on it.
        lengths: at which they were trained.
        entries: all that there are.
    """
    has_length = any(its.config.get("task", {}).get("length") for its in results)
    found = []
    for entry in published_for(results, entries):
        at = entry.settings.get("task.length")
        if isinstance(at, int):
            found.append(Reported(entry, (at,)))
        else:
            found.append(Reported(entry, () if has_length else tuple(lengths)))
    return found


def published_for(results: Sequence[Result], entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that fit any of these runs, each once, in their order."""
    entries = list(entries)
    kinds = {(its.task, repr(its.config.get("task"))): its for its in results}
    fitting: list[Entry] = []
    for (task, _), result in kinds.items():
        settings = {f"task.{key}": value for key, value in with_defaults(result.config)["task"].items()}
        fitting += published(task, settings, entries)
    return [entry for entry in entries if entry in fitting]
