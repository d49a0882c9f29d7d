"""Which jobs a sweep has: every combination of values, where some keys go together; a file of such sweeps."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from seqbench.config.explain import explain
from seqbench.config.overrides import readable
from seqbench.errors import ConfigError

#: What is said where keys that go together are given in another way.
FORM = "hydra.sweeper.zip takes lists of keys, [[task.length,trainer.max_steps]], each key in one of them"


@dataclass(frozen=True)
class Line:
    """A line of a file of sweeps.

    Attributes:
        arguments: `key=value` each, as on the command line.
        place: the file and the number of the line; empty where there is no file.
    """

    arguments: list[str]
    place: str = ""

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Put the place before the sentence of an error.

        Raises:
            ConfigError: for any error of composing.
        """
        try:
            yield
        except Exception as error:
            if not self.place:
                raise
            raise ConfigError(f"{self.place}: {explain(error, self.arguments)}") from error

    def check(self, typed: set[str], own: Sequence[Override]) -> None:
        """Raise a ConfigError where the line sets what only the command line can, or what it sets too."""
        for override in own:
            key = str(override.key_or_group)
            if key == "experiment" or key.partition(".")[0].partition("/")[0] in ("hydra", "runs_dir"):
                raise ConfigError(f"{key} goes on the command line, for all lines.")
            if key in typed:
                raise ConfigError(f"{key} is on the command line as well; one of them has to go.")


def read_lines(file: str) -> list[Line]:
    """Return the sweeps of a file: a line each; `#` starts a comment.

    Raises:
        ConfigError: there is no such file, or a line cannot be read.
    """
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigError(f"hydra.sweeper.jobs={file} cannot be read: {reason}.") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{file}, line {number}"
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ConfigError(f"{place}: a quote is not closed.") from error
        with Line([], place).named_in_errors():
            if words:
                found.append(Line(readable(words), place))
    if not found:
        raise ConfigError(f"hydra.sweeper.jobs={file} names no run.")
    return found


def combinations(overrides: Sequence[Override], zipped: Sequence[Sequence[str]] = ()) -> list[list[str]]:
    """Return the arguments of each job: every combination of the values, the last key fastest.

    Args:
        overrides: of which the last counts where a key comes twice.
        zipped: groups of keys whose values go together, the first with the first.

    Raises:
        ConfigError: a group names a key that is not swept, or its keys have not as many values; a sweep has
            no values of its own, as `interval(0,1)`.
    """
    axes: dict[str, list[list[str]]] = {}
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise ConfigError(f"{override.input_line} names no values; `seqbench search` looks for them.")
        (values,) = BasicSweeper.split_arguments([override], None)
        if not values:
            raise ConfigError(f"{override.input_line} matches no preset of {override.key_or_group}.")
        if override.is_delete() and override.value() is None:
            values = [[f"~{override.key_or_group}"]]  # in Hydra's words ~key=null, as if null were its value
        axes[str(override.key_or_group)] = values
    swept = {str(override.key_or_group) for override in overrides if override.is_sweep_override()}
    for group in _checked(zipped):
        if lacking := [key for key in group if key not in swept]:
            raise ConfigError(f"hydra.sweeper.zip names {lacking[0]}, which has not several values here.")
        counts = {key: len(axes[key]) for key in group}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{key} has {count}" for key, count in counts.items())
            raise ConfigError(f"Values that go together are as many for each key: {said}.")
        first, *others = group
        together = zip(axes[first], *(axes.pop(key) for key in others), strict=True)
        axes[first] = [list(itertools.chain(*values)) for values in together]
    return [list(itertools.chain(*values)) for values in itertools.product(*axes.values())]


def _checked(zipped: Sequence[Sequence[str]]) -> list[list[str]]:
    groups = [[] if isinstance(group, str) else [str(key) for key in group] for group in zipped]
    keys = list(itertools.chain(*groups))
    if any(len(group) < 2 for group in groups) or len(set(keys)) < len(keys):
        raise ConfigError(f"{FORM}.")
    return groups
