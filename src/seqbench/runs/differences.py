"""What may differ between two runs of one configuration and one seed, and what does."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from seqbench.config.identity import INCIDENTAL
from seqbench.errors import StoreError
from seqbench.runs.files import from_bytes, read
from seqbench.runs.result import Result
from seqbench.runs.store import BEST_WEIGHTS, read_result

#: Fields of `result.json`: times, throughput, memory, dates, where a run went on from, and checksums of files
#: that hold such. `config` may differ in the keys that decide no number, `INCIDENTAL`.
OF_RESULT = (
    *("wall_time_s", "sequences_per_s", "peak_memory_bytes", "finished_at", "continued_from"),
    *("error", "sha256"),
)
#: Columns of `metrics.csv`.
OF_METRICS = ("seconds",)


def differences(one: Path, other: Path) -> list[str]:
    """Return what differs between two run folders and may not; nothing if they are the same run.

    Results, evaluations and best weights are compared bit for bit, on one platform.

    Args:
        one: the folder `seed-<n>` of a run that has ended.
        other: likewise.

    Raises:
        StoreError: a folder has no result, or it cannot be read.
    """
    results = [_result(folder) for folder in (one, other)]
    found = [f"result.json: {name}" for name in of_results(*results)]
    found += of_curves(*((folder / "metrics.csv").read_text() for folder in (one, other)))
    weights = [_weights(folder) for folder in (one, other)]
    if list(weights[0]) != list(weights[1]):
        found.append(f"{BEST_WEIGHTS}: its names")
    else:
        found += [f"{BEST_WEIGHTS}: {name}" for name in weights[0] if weights[0][name] != weights[1][name]]
    return found


def of_results(one: Result, other: Result) -> list[str]:
    """Return the fields in which two results differ and may not; those that may are `OF_RESULT`."""
    ours, theirs = _plain(one), _plain(other)
    return [name for name in ours if not _same(ours[name], theirs[name])]


def of_curves(one: str, other: str) -> list[str]:
    """Return what differs between the contents of two `metrics.csv` and may not, see `OF_METRICS`."""
    rows = [_evaluations(text) for text in (one, other)]
    if list(map(list, rows[0])) != list(map(list, rows[1])):
        return ["metrics.csv: its columns or its rows"]
    return [
        f"metrics.csv: {name} at step {ours['step']}"
        for ours, theirs in zip(*rows, strict=True)
        for name in ours
        if ours[name] != theirs[name]
    ]


def _result(folder: Path) -> Result:
    result = read_result(folder)
    if result is None:
        raise StoreError(f"{folder} has no result to compare.")
    return result


def _plain(result: Result) -> dict[str, Any]:
    plain = {field.name: getattr(result, field.name) for field in fields(Result)}
    config = OmegaConf.create(result.config)
    for key in INCIDENTAL:
        node, _, last = key.rpartition(".")
        place = OmegaConf.select(config, node) if node else config
        if place is not None:
            place.pop(last, None)
    plain["config"] = OmegaConf.to_container(config)
    return {name: value for name, value in plain.items() if name not in OF_RESULT}


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or repr(one) == repr(other)  # a number that is none equals nothing


def _evaluations(text: str) -> list[dict[str, str]]:
    rows = csv.DictReader(text.splitlines())
    return [{k: v for k, v in row.items() if k not in OF_METRICS} for row in rows]


def _weights(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Return the best weights as bytes; nothing for a run that has none."""
    path = folder / BEST_WEIGHTS
    if not path.exists():
        return {}
    return {
        name: (value.dtype, value.shape, value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        for name, value in from_bytes(read(path), path).items()
    }
