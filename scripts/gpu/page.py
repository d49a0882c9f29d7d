"""The page: the section '## GPU' of results/speed.md, and a file of JSON beside."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch
from tabulate import tabulate

from seqbench.runs.devices import commit, device_name
from seqbench.versions import versions

from .outcome import Outcome, Row

#: The parts whose tables are shown; of the others the outcome alone.
SHOWN = ("speed", "graphs", "memory")
#: From a heading to the next one.
SECTION = re.compile(r"^## GPU\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def facts(device: str, command: str) -> dict[str, str]:
    """Return what was measured on, and with what."""
    found = {"device": device_name(torch.device(device))}
    if device == "cuda":
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        found |= {"devices": str(torch.cuda.device_count()), "driver": driver()}
        found |= {"cuda": str(torch.version.cuda), "cudnn": str(cudnn)}
    return found | versions() | {"commit": commit() or "", "command": command}


def driver() -> str:
    """Return the version of the GPU's driver."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return "unknown"


def table(rows: list[Row]) -> str:
    """Return rows as a Markdown table."""
    return tabulate(rows, headers="keys", tablefmt="github", floatfmt=".3g", missingval="—")


def summary(outcomes: dict[str, Outcome]) -> str:
    """Return the table of all parts."""
    return table([{"part": name, "outcome": str(outcome)} for name, outcome in outcomes.items()])


def section(outcomes: dict[str, Outcome], found: dict[str, str], said: dict[str, str]) -> str:
    """Return the section.

    Args:
        outcomes: of the parts.
        found: see `facts`.
        said: of each part what its table shows.
    """
    of = ", ".join(f"{name} {value}" for name, value in found.items() if name not in ("device", "command"))
    parts = [f"## GPU\n\nCard: {found['device']}; {of}.\n\nCommand: `{found['command']}`"]
    parts += [
        f"### {name}\n\n{said[name]}\n\n{table(outcomes[name].rows)}"
        for name in SHOWN
        if name in outcomes and outcomes[name].rows
    ]
    return "\n\n".join([*parts, f"### checks\n\n{summary(outcomes)}"]) + "\n"


def with_section(page: str, new: str) -> str:
    """Return a page with a section '## GPU' in place of the one that it has, or at its end."""
    if SECTION.search(page):
        return SECTION.sub(lambda old: f"{new}\n", page).rstrip("\n") + "\n"
    return f"{page.rstrip()}\n\n{new}"


def write(stem: Path, outcomes: dict[str, Outcome], found: dict[str, str], said: dict[str, str]) -> None:
    """Replace the section in STEM.md, and write STEM-gpu.json."""
    path = stem.with_name(f"{stem.name}.md")
    page = path.read_text() if path.exists() else "# Speed\n"
    path.write_text(with_section(page, section(outcomes, found, said)))
    numbers = {name: asdict(outcome) for name, outcome in outcomes.items()}
    stem.with_name(f"{stem.name}-gpu.json").write_text(json.dumps({**found, **numbers}, indent=1) + "\n")
