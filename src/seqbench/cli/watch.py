"""`seqbench report --watch`: the table of a report, again whenever a run ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from time import sleep

from rich.console import Group, RenderableType
from rich.live import Live

from seqbench.errors import StoreError
from seqbench.results.rendering.rows import safe_text, standard_output
from seqbench.runs.places import check_there, written
from seqbench.signals import Stopped

#: Seconds between two looks at the folders of runs.
LOOK_SECONDS = 2.0

#: Makes what is shown in a number of columns, and calls a function with a sentence on runs that are left out.
Show = Callable[[int, Callable[[str], object]], Iterable[RenderableType]]


def watch(named: Iterable[str | Path], show: Show) -> None:
    """Show a table until Ctrl-C, and again whenever results were written or removed.

    On a terminal it stays in its place; elsewhere each table follows the one before.

    Args:
        named: folders of runs, or exported files.
        show: reads them.

    Raises:
        StoreError: a place is not there.
        ConfigError: as `show` does.
    """
    places = list(map(Path, named))
    for place in places:
        check_there(place)
    console = standard_output()
    seen: object = None
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                if (now := written(places)) != seen:
                    seen = now
                    parts = _shown(show, console.width)
                    if console.is_terminal:
                        live.update(Group(_as_of(), *parts), refresh=True)
                    else:
                        for part in parts:
                            console.print(part)
                sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            return
        except Stopped as end:
            if end.number != signal.SIGINT:
                raise


def _shown(show: Show, width: int) -> list[RenderableType]:
    warnings: list[str] = []
    try:
        parts = list(show(width, warnings.append))
    except StoreError as error:  # nothing that is asked for has ended yet
        parts = [safe_text(str(error))]
    return [*parts, *(safe_text(warning, style="dim") for warning in warnings)]


def _as_of() -> RenderableType:
    return safe_text(f"As of {datetime.now():%H:%M:%S}. Ctrl-C ends.", style="dim")
