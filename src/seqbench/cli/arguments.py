"""Arguments of a command: what argparse refuses is one sentence, as every other error."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import NoReturn

from seqbench.errors import ConfigError


class Arguments(ArgumentParser):
    """An `ArgumentParser` that raises a ConfigError where argparse prints its usage and exits."""

    def error(self, message: str) -> NoReturn:
        raise refused(self.prog, message)


def refused(command: str, message: str) -> ConfigError:
    """Return the error for what argparse says to a command's arguments."""
    return ConfigError(f"{message}; `{command} --help` says more.")
