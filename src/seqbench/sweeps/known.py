"""Configurations that were run before: where their runs lie is known without building anything.

To find out which runs a configuration stands for, its model is built, which takes torch, and long where there
are hundreds. So it is noted once, under a key of all that the answer depends on. The runs themselves are then
read: what counts as done is what they say.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import seqbench
from seqbench.config.presets import CONF_DIR
from seqbench.errors import StoreError
from seqbench.runs.store import read_result
from seqbench.sweeps.job import Facts, Job
from seqbench.sweeps.outcome import ended

#: The folder of notes, in that of the runs.
FOLDER = ".known"
#: Keys that say where things go and how many seeds there are, and not what is run.
ELSEWHERE = ("seed", "n_seeds", "runs_dir", "logger")
#: What stands for something that is looked up when it is read.
LOOKED_UP = ("${oc.env", "${oc.decode", "${now", "${env")


def known(job: Job) -> Facts | None:
    """Return what is known of a job whose runs have all ended well; None where something is to do."""
    path = _note(job)
    try:
        noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
    except (OSError, ValueError):
        return None
    if not noted:
        return None
    config = job.config
    group = _runs_dir(config) / noted["group"]
    seeds = range(config["seed"], config["seed"] + config["n_seeds"])
    before = []
    for seed in seeds:
        folder = Path(group, f"seed-{seed}")
        with suppress(StoreError):
            result = read_result(folder)
            if result is not None and result.identity == noted["identity"]:
                before.append(ended(result, folder))
    facts = Facts(**noted | {"group": str(group), "seeds": seeds, "before": tuple(before)})
    return facts if not facts.missing() else None


def note(job: Job, facts: Facts) -> None:
    """Note what was found out about a job, for `known`."""
    if facts.lasting and (path := _note(job)) is not None:
        # The folder of all runs may be moved or copied, and the notes with it.
        noted = asdict(facts) | {"group": os.path.relpath(facts.group, _runs_dir(job.config))}
        del noted["seeds"], noted["before"]
        part = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(noted), encoding="utf-8")
            part.replace(path)
        except OSError:  # then it is found out again
            part.unlink(missing_ok=True)


def _note(job: Job) -> Path | None:
    """Return the file for a job; None where its configuration can mean something else tomorrow."""
    config = job.config
    if not all(isinstance(config.get(key), int) for key in ("seed", "n_seeds")):
        return None
    if not isinstance(config.get("runs_dir"), str) or config.get("allowed_packages"):
        return None
    decides = {key: value for key, value in config.items() if key not in ELSEWHERE}
    text = json.dumps([decides, _choices(job), job.gpus, _surroundings()], sort_keys=True, default=str)
    if any(mark in text for mark in LOOKED_UP):
        return None
    return _runs_dir(config) / FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _runs_dir(config: dict[str, Any]) -> Path:
    return Path(config["runs_dir"]).expanduser()


def _choices(job: Job) -> dict[str, Any]:
    return {group: name for group, name in job.choices.items() if group in ("task", "model")}


@cache
def _surroundings() -> list[Any]:
    """Return what else decides which runs a configuration stands for: code, versions, machine."""
    folders = (Path(seqbench.__file__).parent, CONF_DIR)
    files = sorted((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in _code(folders))
    compilers = [os.environ.get("CC"), *(shutil.which(name) for name in ("cc", "gcc", "clang"))]
    packages = [version(name) for name in ("torch", "lightning", "omegaconf", "hydra-core")]
    gpus = [os.environ.get("CUDA_VISIBLE_DEVICES"), Path("/dev/nvidia0").exists()]
    return [files, compilers, packages, gpus, platform.node(), platform.python_version()]


def _code(folders: tuple[Path, ...]) -> Iterator[tuple[Path, os.stat_result]]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix in (".py", ".c", ".h", ".yaml", ".json"):
                yield path, path.stat()
