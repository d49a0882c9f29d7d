"""The index of results/."""

from __future__ import annotations

import tarfile
from pathlib import Path

from scripts.pages.index import index
from scripts.pages.page import RESULTS

from tests.runs.handmade import result
from tests.test_reproduce import MADE, declared


def test_a_line_for_each_page_says_how_far_it_is(tmp_path: Path) -> None:
    declared(tmp_path, [result(**MADE | {"wall_time_s": 1800})])
    protocol = "P. Estimate before the first run, by a look: 3 to\n  5 core-hours or 1.5 on B; not more. Q"
    (tmp_path / "pages/later.yaml").write_text(
        f"title: Later\nprotocol: |-\n  {protocol}\nrun: [seqbench]\nshow: [text: T]\n"
    )
    (tmp_path / "pages/begun.yaml").write_text(
        "title: Begun\nprotocol: P.\nrun: [seqbench]\nshow: [text: T]\n"
    )
    with tarfile.open(tmp_path / "begun-runs.tar.gz", "w:gz") as archive:
        for folder in ("latch/lstm-0/seed-0", "latch/lstm-0/seed-1", ".searches/latch/lstm-0/seed-0"):
            archive.add(tmp_path / "pages/begun.yaml", f"runs/pages/begun/{folder}/result.json")
            archive.add(tmp_path / "pages/begun.yaml", f"runs/pages/begun/{folder}/metrics.csv")
    (tmp_path / "pages/searching.yaml").write_text(
        "title: Searching\nprotocol: P.\nrun: [seqbench]\nshow: [text: T]\n"
    )
    with tarfile.open(tmp_path / "searching-runs.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "pages/begun.yaml", "runs/pages/searching/.searches/latch/a/result.json")
    (tmp_path / "old.md").write_text("Made before.")
    (tmp_path / "flow.md").write_text("Norms.\n\nCommand: `seqbench analyse gradient_flow`\n")
    found = index(tmp_path).splitlines()
    assert "| [`later`](pages/later.yaml) | Later | not run yet |  | 3 to 5 core-hours or 1.5 on B |" in found
    assert "| [`begun`](pages/begun.yaml) | Begun | begun: [2](begun-runs.tar.gz) |  |  |" in found
    begun = "begun: [its search](searching-runs.tar.gz)"
    assert f"| [`searching`](pages/searching.yaml) | Searching | {begun} |  |  |" in found
    (line,) = (line for line in found if line.startswith("| [`mine`](mine.md)"))
    assert line.endswith("| 1 | 0.50 |  |")
    assert found[-1] == "- [`old`](old.md)"
    looks = found.index("## Looks at models and runs")
    assert found.index("- [`flow`](flow.md)") < found.index("## Older pages") and looks > found.index(line)


def test_the_committed_index_is_made_of_the_committed_pages() -> None:
    assert (RESULTS / "README.md").read_text() == index(), "scripts/published"
