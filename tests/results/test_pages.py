"""The files of a page."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from seqbench.errors import StoreError
from seqbench.results.pages import write_page


def test_texts_and_figure_have_one_name_in_a_new_folder(tmp_path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])
    stem = tmp_path / "new" / "folder" / "v1.2"
    paths = write_page(stem, {"md": "# Page\n", "csv": "a,b\n1,2\n"}, figure)
    assert [path.name for path in paths] == ["v1.2.md", "v1.2.csv", "v1.2.svg", "v1.2.png"]
    assert paths[0].read_text() == "# Page\n" and paths[1].read_text() == "a,b\n1,2\n"
    assert paths[3].read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in stem.parent.iterdir()) == sorted(path.name for path in paths)


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write .*file: "):
        write_page(tmp_path / "file" / "page", {"md": ""})
