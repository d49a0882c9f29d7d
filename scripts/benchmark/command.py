"""The command: which parts, and what is printed and written."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import json
import os
import shlex
from importlib.metadata import version
from pathlib import Path

import torch

from seqbench.runs.devices import commit, device_name

from .cells import cells
from .compiling import compiling
from .cores import cores
from .growth import growth
from .headline import headline
from .heirs import heirs
from .measure import Settings
from .others import data, forcing, memory, precision, scan
from .overhead import overhead
from .quickstart import quickstart
from .sizes import sizes
from .startup import startup
from .surroundings import use_cores
from .tables import markdown
from .trees import trees
from .tune import tune

#: What is measured where no part is named; the parts further down are measured when they are.
BY_DEFAULT = (
    *(headline, cells, sizes, cores, overhead, growth, compiling),
    *(startup, scan, forcing, trees, memory, precision, data),
)
PARTS = {part.__name__: part for part in (*BY_DEFAULT, heirs, quickstart, tune)}


def main(description: str, arguments: list[str]) -> None:
    """Measure, print, write.

    Args:
        description: of the command, for --help.
        arguments: those of the command line.
    """
    args = parsed(description, arguments)
    names = ["tune"] if args.tune else args.parts or [part.__name__ for part in BY_DEFAULT]
    settings = Settings(args.device, 1 if args.quick else args.rounds, args.quick, args.against)
    torch.set_num_threads(1)
    use_cores(1)
    facts = {
        "machine": device_name(torch.device(settings.device)),
        "threads": 1,
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: found for name in ("torch", "jax") if (found := installed(name)) is not None},
        "commit": commit(),
        "command": shlex.join(["scripts/bench", *arguments]),
    }
    text = [f"# Speed\n\n{header(facts, settings, names)}"]
    print(text[0], flush=True)
    tables = {}
    for name in names:
        rows = tables[name] = PARTS[name](settings)
        text.append(f"## {name}\n\n{inspect.getdoc(PARTS[name])}\n\n{markdown(rows)}")
        print(f"\n{text[-1]}", flush=True)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.with_name(f"{args.out.name}.md").write_text("\n\n".join(text) + "\n")
        args.out.with_name(f"{args.out.name}.json").write_text(json.dumps(facts | tables, indent=1) + "\n")


def parsed(description: str, arguments: list[str]) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, metavar="STEM", help="write STEM.md and STEM.json")
    parser.add_argument("--tune", action="store_true", help="propose the table of engines, and nothing else")
    parser.add_argument("--against", metavar="COMMIT", help="what `quickstart` compares with")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="a cuda device is the first")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (5)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, once: does every part run? Its numbers mean nothing"
    )
    args = parser.parse_args(arguments)
    if args.tune and args.parts:
        parser.error("--tune measures no other part; give one or the other.")
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds} measures nothing; give at least 1.")
    if args.against is not None and "quickstart" not in args.parts:
        parser.error("--against is for the part `quickstart`; name it.")
    if args.device != "cpu" and "heirs" in args.parts:
        parser.error(
            f"--device {args.device} is not for the part `heirs`, whose other forms are those of a CPU."
        )
    return args


def installed(package: str) -> str | None:
    """Return the version of a package; None if it is not there."""
    return version(package) if importlib.util.find_spec(package) else None


def header(facts: dict[str, object], settings: Settings, names: list[str]) -> str:
    """Return the lines above the tables of the named parts."""
    versions = facts["versions"]
    assert isinstance(versions, dict)
    known = ", ".join(f"{name} {number}" for name, number in versions.items())
    lines = [
        f"Machine: {facts['machine']}, one thread on one core, {known}, commit {facts['commit']}.",
        f"When it began, {facts['load']} processes ran or waited, the mean of a minute.",
        f"Command: `{facts['command']}`",
    ]
    with_jax = names != ["heirs"]  # which is of public forms on a CPU
    if with_jax and "jax" not in versions:
        lines.append("JAX was not there: `pip install -e '.[bench]'`.")
    if with_jax and settings.device == "cpu":
        lines.append("GPU: `scripts/gpu_check --out results/speed` measures it, and writes below.")
    if settings.quick:
        lines.append("Tiny sizes, measured once: these numbers mean nothing.")
    return "\n\n".join(lines)
