"""The queue of Slurm: what is in it, what of that is ours, and what the cluster takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from seqbench.errors import ConfigError, nearest
from seqbench.sweeps.remote import Part

#: The name of every job.
NAME = "seqbench"
#: States of a job that has not ended.
AT_WORK = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "PREEMPTED")
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "SPECIAL_EXIT")
#: The folder of notes on what is in the queue, in that of the runs.
FOLDER = ".queued"
#: The size of an array where the cluster does not say.
USUAL_ARRAY = 1001


class Place(NamedTuple):
    """Where a part is in the queue, and where it writes."""

    id: str
    folder: str
    log: str


def check_cluster(partition: str | None) -> None:
    """Raise a ConfigError where there is no Slurm, or no such partition."""
    if find_spec("submitit") is None:
        raise ConfigError(
            "hydra/launcher=slurm needs submitit, seqbench's extra slurm: pip install submitit."
        )
    for command in ("sbatch", "squeue", "srun"):
        if shutil.which(command) is None:
            raise ConfigError(
                f"hydra/launcher=slurm needs the commands of Slurm, and this machine has no {command}; start "
                "it on a login node of the cluster."
            )
    there = dict.fromkeys(_ask("sinfo", "--all", "--noheader", "--format=%R").split())
    if partition is not None and (unknown := [name for name in partition.split(",") if name not in there]):
        raise ConfigError(
            f"hydra.launcher.partition={partition}: this cluster has no partition {unknown[0]!r}, but "
            f"{', '.join(there)}.{nearest(unknown[0], there)}"
        )


def largest_array() -> int:
    """Return how many tasks an array may have."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"))
    return int(found[1]) - 1 if found else USUAL_ARRAY - 1


def states() -> dict[str, str]:
    """Return the state of each job of the user's that a sweep submitted and Slurm remembers, by its id.

    Raises:
        ConfigError: Slurm does not answer.
    """
    listing = ["--noheader", "--array", "--states=all", f"--name={NAME}", f"--user={os.getuid()}"]
    text = _ask("squeue", *listing, "--format=%i %T")
    return dict(line.split()[:2] for line in text.splitlines())


def array_of(part: Part) -> str:
    """Return the id of the array that a part is in."""
    return part.id.partition("_")[0]


def own_id() -> str:
    """Return the id of the job that this process runs in."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return os.environ["SLURM_JOB_ID"] if array is None else f"{array}_{task}"


def note(parts: Sequence[Part]) -> None:
    """Note what was submitted, so that the same command finds it in the queue."""
    arrays: dict[Path, list[list[Any]]] = defaultdict(list)
    for part in parts:
        seeds = part.unit.seeds
        place = Place(part.id, str(part.folder), str(part.log))
        arrays[_note(part)].append([_group(part), seeds.start, seeds.stop, place])
    for path, entries in arrays.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entries), encoding="utf-8")


def forget(parts: Sequence[Part]) -> None:
    """Remove the notes on parts that have all left the queue."""
    for path in {_note(part) for part in parts}:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # there are others
            path.parent.rmdir()


def already_there(parts: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """Divide parts into those that an earlier command has put into the queue, and those that are new.

    A part of which some seeds are there is divided too.
    """
    noted: dict[tuple[str, int], Place] = {}
    for folder in {_note(part).parent for part in parts}:
        noted |= _noted(folder)
    there, new = [], []
    for part in parts:
        runs = [(_group(part), seed) for seed in part.unit.seeds]
        for place, its in groupby(runs, noted.get):
            row = [seed for _, seed in its]
            unit = replace(part.unit, seeds=range(row[0], row[-1] + 1), ended=[])
            if place is None:
                folder = part.folder.with_name(f"{unit.job.number}-{row[0]}")
                new.append(replace(part, unit=unit, folder=folder))
            else:
                folder, log = Path(place.folder), Path(place.log)
                there.append(replace(part, unit=unit, folder=folder, log=log, id=place.id))
    return there, new


def _noted(folder: Path) -> dict[tuple[str, int], Place]:
    """Return the place of each run that is in the queue, by its configuration's folder and its seed."""
    live = {id for id, state in states().items() if state in (*AT_WORK, *WAITING)}
    found: dict[tuple[str, int], Place] = {}
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, TypeError):  # a note that is damaged counts as none
            entries = [(*entry[:3], Place(*entry[3])) for entry in json.loads(path.read_text("utf-8"))]
            there = [entry for entry in entries if entry[3].id in live]
            found |= {(group, seed): place for group, *ends, place in there for seed in range(*ends)}
            if not there:
                path.unlink()
    return found


def _group(part: Part) -> str:
    return str(Path(part.unit.facts.group).resolve())


def _note(part: Part) -> Path:
    return Path(_group(part)).parents[1] / FOLDER / f"{array_of(part) or 'new'}.json"


def _ask(*command: str) -> str:
    """Return what a command of Slurm says.

    Raises:
        ConfigError: it fails.
    """
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise ConfigError(f"Slurm does not answer {command[0]}: {why[-1].rstrip('.')}.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"Slurm does not answer {command[0]}: {error}.") from error
    return asked.stdout
