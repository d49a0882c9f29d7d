"""Runs that have ended, wherever they lie: in folders of runs, and in files that were exported of such."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from seqbench.errors import StoreError
from seqbench.runs.exchange import NUMBERS, is_curves, read_export
from seqbench.runs.files import DamagedFileError, read_checked
from seqbench.runs.result import Result
from seqbench.runs.selection import select
from seqbench.runs.store import PATTERNS, RESULT_FILE, no_results, read_runs, seed_folders


@dataclass(frozen=True)
class PlacedRun:
    """A run that has ended.

    Attributes:
        result: how it ended.
        place: the folder of the run, or the exported file.
        exported: the content of `metrics.csv` that an exported file holds; None where it holds none.
        elsewhere: the same run in other places, which may have the curves that it lacks here.
    """

    result: Result
    place: Path
    exported: str | None = None
    elsewhere: tuple[PlacedRun, ...] = ()

    def curves(self) -> str | None:
        """Return the content of `metrics.csv`; None where no place has it as the run wrote it."""
        others = (other.curves() for other in self.elsewhere)
        return self._curves() or next(filter(None, others), None)

    def _curves(self) -> str | None:
        """Return the content of `metrics.csv` in this place."""
        expected = self.result.sha256.get("metrics.csv")
        if self.exported is not None or expected is None:
            return self.exported
        try:
            found = read_checked(self.place / "metrics.csv", expected).decode()
        except (FileNotFoundError, DamagedFileError, UnicodeDecodeError):
            return None
        return found if is_curves(found) else None


def read_places(
    places: Iterable[str | Path], warn: Callable[[str], object], filters: Sequence[str] = ()
) -> list[PlacedRun]:
    """Return the runs in folders and exported files, each once. Of two with other numbers the later counts.

    Args:
        places: the folder of all runs, of a task, of a configuration or of one run, or a file of `seqbench
            runs export`.
        warn: called with a sentence about runs that are left out, and about a place where none has ended yet.
        filters: `key=value`, see `selection.select`; only runs that all let through.

    Raises:
        ConfigError: a filter cannot be read, or no run has its key.
        StoreError: a place is not there, has no results or cannot be read, or no run is let through.
    """
    runs: dict[tuple[str, str, str, int], PlacedRun] = {}
    differing, waiting = 0, []
    for place in dict.fromkeys(map(_place, places)):
        if not (found := _in_place(place, warn)):
            waiting.append(
                f"no run in {place} has ended yet; `seqbench runs {place}` shows how far each has come."
            )
        for run in found:
            its = run.result
            # Two presets may mean one configuration: each is a model of its own.
            key = (its.task, its.model, its.identity or its.hash, its.seed)
            other = runs.setdefault(key, run)
            if other is run:
                continue
            same = all(getattr(its, name) == getattr(other.result, name) for name in NUMBERS)
            differing += not same
            later, earlier = (run, other) if _newer(run, other) else (other, run)
            runs[key] = replace(later, elsewhere=(*later.elsewhere, earlier)) if same else later
    if waiting and not runs:
        raise StoreError(waiting[0])
    for sentence in waiting:
        warn(sentence)
    if differing:
        which = "runs are" if differing > 1 else "run is"
        warn(f"{differing} {which} in two places with other numbers; the later one counts.")
    found = list(runs.values())
    kept = {id(result) for result in select([run.result for run in found], filters)}
    return [run for run in found if id(run.result) in kept]


def _place(named: str | Path) -> Path:
    """Return the place that is named: of the result of a run its folder."""
    place = Path(named)
    is_result = place.name == RESULT_FILE and place.absolute().parent.name.startswith("seed-")
    return place.parent if is_result else place


def _in_place(place: Path, warn: Callable[[str], object]) -> list[PlacedRun]:
    """Return the runs in a place; none where there are runs of which none has ended."""
    if place.is_file():
        return [PlacedRun(entry.result, place, entry.curves) for entry in read_export(place)]
    check_there(place)
    seeds = seed_folders(place)
    found = read_runs(seeds, warn)
    if not found and all((seed / RESULT_FILE).exists() for seed in seeds):
        if any(place.glob("*.jsonl")):
            raise StoreError(f"no runs in {place}, but exported files: name them, {place / '*.jsonl'}.")
        raise StoreError(f"no result in {place} can be used.") if seeds else no_results(place)
    return [PlacedRun(result, folder) for folder, result in found]


def check_there(place: Path) -> None:
    """Raise a StoreError where a place is neither a folder nor a file, unless it is the default, `runs`."""
    if not place.exists() and place != Path("runs"):
        where = f" --where {place} chooses runs." if "=" in place.name else ""
        raise StoreError(f"There is no folder of runs and no exported file {place}.{where}")


def written(places: Iterable[Path]) -> frozenset[tuple[Path, int]]:
    """Return the results and the exported files in places, each with when it was written, in ns since 1970.

    It is quick to have, and another one where something was written or removed.
    """
    found = []
    for place in places:
        results = [place / RESULT_FILE]
        results += [result for pattern in PATTERNS for result in place.glob(f"{pattern}/{RESULT_FILE}")]
        for path in [place] if place.is_file() else results:
            with suppress(OSError):  # it may be gone by now
                found.append((path, path.stat().st_mtime_ns))
    return frozenset(found)


def _newer(run: PlacedRun, other: PlacedRun) -> bool:
    """Return whether a run counts before another: one that did not fail, then the later."""
    one, two = run.result, other.result
    return (one.status != "failed", one.finished_at) > (two.status != "failed", two.finished_at)
