"""The results that lie in the places that a command names: folders of runs, and files of exported runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seqbench.errors import StoreError
from seqbench.runs.exchange import read_exported
from seqbench.runs.result import Result
from seqbench.runs.selection import select
from seqbench.runs.store import no_results, read_results, run_folders


def results_in(
    places: Sequence[str | Path], filters: Sequence[str], warn: Callable[[str], object]
) -> list[Result]:
    """Return the results in folders of runs and in files that `seqbench runs export` wrote.

    Args:
        places: there must be one.
        filters: `key=value` or `key=value,value`, see `selection.select`.
        warn: called with a sentence about results in folders that are left out.

    Raises:
        ConfigError: a filter cannot be read.
        StoreError: a place is not there or holds no result, a file cannot be read, or a filter lets nothing
            through.
    """
    results: list[Result] = []
    for place in map(Path, places):
        if place.is_file():
            found = read_exported(place)
        elif place.is_dir():
            found = read_results(run_folders(place), warn)
        else:
            raise StoreError(f"there is no folder and no file {place}.")
        if not found:
            raise no_results(place)
        results += found
    return select(results, filters)
