"""Arguments of a command: what argparse refuses is one sentence, as every other error."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from typing import Any, NoReturn

from seqbench.config.presets import add_presets
from seqbench.errors import ConfigError


class AddPresets(Action):
    """`--config-dir DIR`: presets for this command."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option: Any = None) -> None:
        add_presets(values)


class Arguments(ArgumentParser):
    """An `ArgumentParser` that raises a ConfigError where argparse prints its usage and exits.

    Every command has `--config-dir`.
    """

    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, **settings)
        self.add_argument(
            "--config-dir",
            action=AddPresets,
            metavar="DIR",
            help="a folder of presets for this command, beside those of $SEQBENCH_PRESETS or ./presets",
        )

    def error(self, message: str) -> NoReturn:
        raise refused(self.prog, message)


def refused(command: str, message: str) -> ConfigError:
    """Return the error for what argparse says to a command's arguments."""
    return ConfigError(f"{message}; `{command} --help` says more.")
