"""Seconds from a command to the prompt."""

from __future__ import annotations

import subprocess
import sys

from .measure import Settings, in_turn, seconds
from .tables import Row

COMMANDS = {
    "import seqbench": ["-c", "import seqbench"],
    "seqbench --help": ["-m", "seqbench", "--help"],
    "seqbench ls": ["-m", "seqbench", "ls"],
}


def startup(settings: Settings) -> list[Row]:
    """Seconds from a command to the prompt."""

    def taken(arguments: list[str]) -> float:
        command = [sys.executable, *arguments]
        return seconds(lambda: subprocess.run(command, capture_output=True, check=True), settings.device)

    measures = {name: lambda a=arguments: taken(a) for name, arguments in COMMANDS.items()}
    found = in_turn(measures, settings.rounds)
    return [{"command": name, "s": s} for name, s in found.items()]
