"""The entrants of `seqbench span`: models, or lines of a file, a model with settings of its own each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from seqbench.config.overrides import parse
from seqbench.errors import ConfigError
from seqbench.sweeps.grid import Line, read_lines
from seqbench.sweeps.job import labels

#: What a line may set. All else is the same for all entrants, so that they are comparable.
GROUPS = ("model", "optim")


@dataclass(frozen=True)
class Entrant(Line):
    """A model with settings.

    Attributes:
        label: its name in tables.
    """

    label: str = ""


def read_entrants(file: str, typed: Collection[str]) -> list[Entrant]:
    """Return the entrants of a file: each line names a model, `label=tuned model=gru optim.lr=0.02`.

    Args:
        file: the path.
        typed: the keys of the command line, which no line may set too.

    Raises:
        ConfigError: the file cannot be read, or a line cannot be used.
    """
    found = []
    for line in read_lines(file):
        with line.named_in_errors():
            own = parse(line.arguments)
            line.check({*typed}, own)
            if "model" not in (override.key_or_group for override in own):
                raise ConfigError("the line names no model; begin it with model=….")
            label = ""
            arguments = []
            for text, override in zip(line.arguments, own, strict=True):
                key = str(override.key_or_group)
                if override.is_sweep_override():
                    raise ConfigError(f"{text}: a line is one entrant, and this names several.")
                if key == "label":
                    label = str(override.value())
                elif key.partition(".")[0].partition("/")[0] not in GROUPS:
                    raise ConfigError(f"{key} goes on the command line, for all entrants.")
                else:
                    arguments.append(text)
            found.append(Entrant(arguments, line.place, label))
    return named(found)


def named(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Return the entrants, each with a label: its model, with what it sets if others have that model too.

    Raises:
        ConfigError: two have one label.
    """
    models = [
        dict(text.partition("=")[::2] for text in entrant.arguments).get("model", "") for entrant in entrants
    ]
    whole = labels([entrant.arguments for entrant in entrants])
    found = []
    for entrant, model, long in zip(entrants, models, whole, strict=True):
        alone = model and models.count(model) == 1
        found.append(replace(entrant, label=entrant.label or (model if alone else long)))
    twice = [label for label, times in Counter(entrant.label for entrant in found).items() if times > 1]
    if twice:
        first, second, *_ = (entrant for entrant in found if entrant.label == twice[0])
        raise ConfigError(
            f"{second.place}: {twice[0]!r} is the entrant of {first.place} too; give each a label=…."
        )
    return found
