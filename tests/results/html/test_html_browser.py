"""The page in a real browser: sorting, filtering, hover, themes, a phone, accessibility, and 2,000 runs.

It takes Debian's Chromium and the extra `dev`; without them these tests are skipped.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.results.handmade import failed, mixed, run, write

from seqbench.cli.report import main
from seqbench.runs.exchange import read_export
from seqbench.runs.files import write_atomically
from seqbench.runs.store import to_plain

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, of the extra dev, is not here")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not here")
CHROMIUM = shutil.which("chromium")
RECORDS = Path(__file__).parents[3] / "results" / "quickstart.jsonl"
HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=1<_script>"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name to address: pages of committed records, of many kinds of runs and hostile texts, of 2,000 runs."""
    place = tmp_path_factory.mktemp("pages")
    kinds = [*mixed(), *(run(length=100, seed=s, solved_at=None) for s in range(3))]
    kinds += [run("copy_memory", f"evil{HOSTILE}", length=20, seed=s, solved_when=HOSTILE) for s in range(3)]
    kinds.append(failed(model="lstm", seed=9, error=HOSTILE))
    long = {f"strange_option_number_{k}": 1 for k in range(12)}
    named = [
        run(
            model=m,
            seed=s,
            **{f"{group}__{key}": n * k for key, n in long.items() for group in ("task", "model")},
        )
        for m in ("lstm", "gru", "x" * 150)
        for k in (1, 2)
        for s in range(3)
    ]
    sources = {
        "quickstart": RECORDS,
        "kinds": write(place / "runs", kinds),
        "long": write(
            place / "long",
            [
                *named,
                *(
                    run("adding", "lstm", seed=s, model__strange_option_number_1=k)
                    for k in range(9)
                    for s in range(2)
                ),
            ],
        ),
        "many": many(place / "many.jsonl"),
    }
    found = {}
    for name, source in sources.items():
        assert main([str(source), "--format", "html", "--out", str(place), "--name", name]) == 0
        found[name] = (place / f"{name}.html").as_uri()
    return found


def many(path: Path) -> Path:
    """Write 2,000 runs with their curves: the committed ones, as runs of 20 tasks."""
    entries = read_export(RECORDS)
    lines = []
    for n in range(2000):
        its = entries[n % len(entries)].result
        mark = its.hash[:6] + f"{n // len(entries):02x}" + its.identity[8:]
        copy = replace(its, task=f"task_{n // len(entries):02d}", identity=mark, hash=mark[:8])
        rows = "".join(f"{s},{1 / s:.6g},{1 - 1 / s:.6g},{s / 10}\n" for s in range(20, 1001, 20))
        curves = "step,loss,accuracy,seconds\n" + rows
        lines.append(json.dumps(to_plain(copy, curves=curves), separators=(",", ":")))
    write_atomically(path, "\n".join(lines) + "\n")
    return path


class Seen:
    """A page in the browser, with what it said and fetched."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.fetched: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.fetched.append(request.url))
        self.page.goto(address)

    def texts(self, selector: str) -> list[str]:
        """Return the texts of the elements that are seen."""
        return [its.inner_text().strip() for its in self.page.locator(selector).all() if its.is_visible()]

    def close(self) -> None:
        """Leave the page; it has said nothing, fetched nothing but itself, and run nothing of a text."""
        assert not self.page.evaluate("window.hacked")
        assert self.said == []
        assert [url for url in self.fetched if not url.startswith(("file:", "data:", "blob:"))] == []
        assert sum(url.startswith("file:") for url in self.fetched) == 1
        self.context.close()


def scroll_through(page: Any) -> None:
    """Show the whole page, so that every figure is drawn."""
    page.evaluate(
        """async () => {
            const places = [...document.querySelectorAll("figure:not([hidden]) .plot")];
            for (const place of places) {
                place.scrollIntoView();
                while (!place.querySelector(".main-svg")) await new Promise((done) => setTimeout(done, 20));
            }
            scrollTo(0, 0);
        }"""
    )


def test_the_leaderboard_sorts_and_filters(browser: Any, pages: dict[str, str]) -> None:
    seen = Seen(browser, pages["quickstart"])
    steps = "#board tbody tr td:nth-child(6)"
    seen.page.locator("#board th button", has_text="steps to solve").click()
    first, *_, last = seen.texts(steps)
    assert first.startswith("100 ") and last.startswith("none in")
    seen.page.locator("#board th button", has_text="steps to solve").click()
    assert not seen.texts(steps)[0].startswith("100 ")
    seen.page.locator("[data-filter=board]").fill("lstm_chrono 50")
    assert seen.texts("#board tbody tr td:nth-child(2)") == ["lstm_chrono"]
    assert seen.texts("[data-count=board]") == ["1 of 21 rows"]
    seen.page.locator("[data-filter=board]").fill("")
    seen.page.locator(".chip", has_text="gru_chrono").click()
    assert "gru_chrono" not in seen.texts("#board tbody tr td:nth-child(2)")
    assert len(seen.texts("table.headline tbody tr[data-model]")) == 6
    seen.close()


def test_a_run_opens_and_says_what_makes_it_again(browser: Any, pages: dict[str, str]) -> None:
    seen = Seen(browser, pages["quickstart"])
    seen.page.locator("[data-filter=every]").fill("gru_chrono 100")
    seen.page.locator("#every .open:visible").first.click()
    below = seen.page.locator(".details").inner_text()
    assert "seqbench task=temporal_order model=gru_chrono" in below
    assert "trainer.max_steps=1000 batch_size=32 seed=" in below
    (commit,) = {entry.result.commit for entry in read_export(RECORDS)}
    assert commit and commit in below and "model.cell.chrono: 100" in below
    seen.page.locator("#every .open:visible").first.click()
    assert seen.page.locator(".details").count() == 0
    seen.close()


def test_a_point_says_its_model_seed_and_value(browser: Any, pages: dict[str, str]) -> None:
    seen = Seen(browser, pages["quickstart"])
    plot = seen.page.locator("#lengths .plot").first
    plot.scroll_into_view_if_needed()
    seen.page.wait_for_selector("#lengths .plot .main-svg")
    point = plot.locator(".points path").first.bounding_box()
    seen.page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    seen.page.wait_for_selector(".hoverlayer .hovertext")
    said = plot.locator(".hoverlayer").text_content()
    assert "at 20" in said and "/5 [" in said
    seen.close()


@pytest.mark.parametrize("name", ["quickstart", "kinds", "long"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_of_accessibility(
    browser: Any, pages: dict[str, str], name: str, scheme: str
) -> None:
    seen = Seen(browser, pages[name], color_scheme=scheme)
    scroll_through(seen.page)
    seen.page.locator("#every .open:visible").first.click()
    found = axe_api.Axe().run(seen.page)
    serious = [its for its in found.response["violations"] if its["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:3000]
    seen.close()


def test_figures_follow_the_theme(browser: Any, pages: dict[str, str]) -> None:
    seen = Seen(browser, pages["quickstart"], color_scheme="dark")
    scroll_through(seen.page)
    colour = "() => getComputedStyle(document.querySelector('#lengths .xtick text')).fill"
    paper = "() => getComputedStyle(document.body).backgroundColor"
    dark = seen.page.evaluate(colour), seen.page.evaluate(paper)
    assert seen.page.locator("#theme").get_attribute("aria-pressed") == "true"
    seen.page.locator("#theme").click()
    seen.page.wait_for_function(f"() => ({colour})() !== '{dark[0]}'")
    assert seen.page.evaluate(paper) != dark[1]
    seen.close()


@pytest.mark.parametrize("name", ["quickstart", "kinds", "long"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways(browser: Any, pages: dict[str, str], name: str, width: int) -> None:
    seen = Seen(browser, pages[name])
    seen.page.set_viewport_size({"width": width, "height": 844})
    scroll_through(seen.page)
    assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert len(seen.texts(".plot")) > 3
    names = seen.page.locator("#every tbody td:nth-child(5)")
    assert names.first.bounding_box()["width"] > 100, "a name is not broken into letters"
    seen.close()


def test_a_command_that_cannot_be_copied_is_selected(browser: Any, pages: dict[str, str]) -> None:
    seen = Seen(browser, pages["quickstart"])
    seen.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    seen.page.locator("#every .open:visible").first.click()
    seen.page.locator(".details button", has_text="Copy").click()
    seen.page.wait_for_function("getSelection().toString().startsWith('seqbench task=temporal_order model=')")
    seen.close()


def test_the_page_of_two_thousand_runs_is_small_and_works(browser: Any, pages: dict[str, str]) -> None:
    path = Path(pages["many"].removeprefix("file://"))
    assert path.stat().st_size < 8e6
    seen = Seen(browser, pages["many"])
    seen.page.locator("[data-filter=every]").fill("task_03 gru_chrono 100")
    assert seen.texts("[data-count=every]") == ["5 of 2,000 runs"]
    seen.page.locator("[data-filter=every]").fill("")
    assert len(seen.texts("#every tbody tr")) == 60
    seen.page.locator("[data-more=every]").click()
    assert seen.page.locator("#every tbody tr:not([hidden])").count() == 2000
    seen.page.locator("#task").select_option("task_03")
    scroll_through(seen.page)
    assert len(seen.texts("#board tbody tr")) == 21
    seen.close()
