"""The files of a page: texts and a figure under one name, in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.errors import StoreError
from seqbench.results.figures import save
from seqbench.runs.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_page(stem: Path, texts: Mapping[str, str], figure: Figure | None = None) -> list[Path]:
    """Write `<stem>.<suffix>` for every text, and the figure as `<stem>.svg` and `<stem>.png`.

        write_page(Path("out/memory"), {"md": page, "csv": frame_to_csv(numbers)}, figure)

    Args:
        stem: the path of the files without a suffix. The folder is created if it does not exist.
        texts: suffix -> content.
        figure: the figure, None for none.

    Returns:
        the paths of the files, in the order in which they were written.

    Raises:
        StoreError: the folder or a file cannot be written.
    """
    make_folder(stem.parent)
    paths = []
    for suffix, text in texts.items():
        paths.append(stem.with_name(f"{stem.name}.{suffix}"))
        write_atomically(paths[-1], text)
    return paths if figure is None else [*paths, *save(figure, stem)]


def make_folder(folder: Path) -> None:
    """Create a folder if it does not exist.

    Raises:
        StoreError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror}.") from error
