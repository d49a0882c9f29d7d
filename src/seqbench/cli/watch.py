"""`seqbench report --watch`: the table of a report, again whenever a run ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from time import sleep

from rich.console import Console, Group, RenderableType
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

    On a terminal it stays in its place. Elsewhere each table follows the one before, and so it does where it
    is taller than the terminal, which can be scrolled back.

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
    moves = console.is_terminal and not console.is_dumb_terminal  # the cursor can be moved back
    seen: object = None
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                if (now := (written(places), console.size if moves else None)) != seen:
                    seen = now
                    table = Group(*_shown(show, console.width))
                    if not moves:
                        console.print(table)
                    elif _height(whole := Group(_as_of(), table), console) <= console.height:
                        live.update(whole, refresh=True)
                    else:
                        live.update(_as_of(), refresh=True)
                        console.print(table)  # above what is live
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


def _height(shown: RenderableType, console: Console) -> int:
    """Return how many lines a terminal takes to show something."""
    return len(console.render_lines(shown, pad=False))


def _as_of() -> RenderableType:
    return safe_text(f"As of {datetime.now():%H:%M:%S}. Ctrl-C ends.", style="dim")
