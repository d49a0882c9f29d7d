"""Arrays are made once for what they are made of, and nothing else is ever read in their place."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from seqbench.data.array_cache import FACTS, Allocate, Made, Origin, code_of, made_once
from seqbench.errors import DataError

CACHE = Path("data/.cache")
ORIGIN = Origin("kind", ["a place"], ["contents"], "code", [1, None, ["a"]])


def numbers(allocate: Allocate) -> Made:
    large = allocate("large", np.int64, (3, 2))
    large[:] = [[1, 2], [3, 4], [5, 6]]
    return Made({"large": large, "small": np.array([0.5, np.nan], dtype=np.float32)}, {"names": ("a", "ü")})


def nothing(allocate: Allocate) -> Made:
    raise AssertionError("made again")


def test_what_was_made_is_read_and_mapped() -> None:
    made = made_once(ORIGIN, CACHE, numbers)
    again = made_once(ORIGIN, CACHE, nothing)
    for found in (made, again):
        assert list(found.arrays) == ["large", "small"] and found.facts == {"names": ["a", "ü"]}
        assert all(isinstance(array, np.memmap) for array in found.arrays.values())
        assert found.arrays["large"].tolist() == [[1, 2], [3, 4], [5, 6]]
        assert found.arrays["small"].tobytes() == np.array([0.5, np.nan], dtype=np.float32).tobytes()
    again.arrays["large"][0, 0] = 9  # stays with who wrote it
    assert made_once(ORIGIN, CACHE, nothing).arrays["large"][0, 0] == 1


@pytest.mark.parametrize(
    "other",
    [
        ORIGIN._replace(kind="another"),
        ORIGIN._replace(contents=["changed"]),
        ORIGIN._replace(code="edited"),
        ORIGIN._replace(settings=[2, None, ["a"]]),
    ],
)
def test_anything_else_is_made_anew(other: Origin) -> None:
    made_once(ORIGIN, CACHE, numbers)
    with pytest.raises(AssertionError, match="made again"):
        made_once(other, CACHE, nothing)


def test_the_place_alone_changes_nothing() -> None:
    made_once(ORIGIN, CACHE, numbers)
    made_once(ORIGIN._replace(places=["elsewhere"]), CACHE, nothing)


def test_what_a_place_held_before_is_removed_and_other_settings_stay() -> None:
    made_once(ORIGIN, CACHE, numbers)
    made_once(ORIGIN._replace(settings=[2]), CACHE, numbers)
    made_once(ORIGIN._replace(places=["elsewhere"], contents=["others"]), CACHE, numbers)
    assert len([*CACHE.iterdir()]) == 3
    made_once(ORIGIN._replace(contents=["changed"]), CACHE, numbers)
    assert len([*CACHE.iterdir()]) == 2


@pytest.mark.parametrize("damage", ["cut", "a bit", "no array", "no facts", "a fact", "half a file of facts"])
def test_a_damaged_entry_is_made_anew(damage: str) -> None:
    made_once(ORIGIN, CACHE, numbers)
    folder = ORIGIN.folder(CACHE)
    array, facts = folder / "large.npy", folder / FACTS
    whole, said = array.read_bytes(), facts.read_text()
    match damage:
        case "cut":
            array.write_bytes(whole[:-8])
        case "a bit":
            array.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        case "no array":
            array.unlink()
        case "no facts":
            facts.unlink()
        case "a fact":
            facts.write_text(json.dumps(json.loads(said) | {"facts": {"names": ["b"]}}))
        case _:
            facts.write_text(said[: len(said) // 2])
    found = made_once(ORIGIN, CACHE, numbers)
    assert found.arrays["large"].tolist() == [[1, 2], [3, 4], [5, 6]] and found.facts["names"] == ["a", "ü"]
    assert array.read_bytes() == whole and facts.read_text() == said


def test_those_who_make_the_same_at_once_all_have_it() -> None:
    together = threading.Barrier(4)
    found: list[Made] = []

    def make(allocate: Allocate) -> Made:
        together.wait()
        return numbers(allocate)

    threads = [
        threading.Thread(target=lambda: found.append(made_once(ORIGIN, CACHE, make))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [made.arrays["large"].sum() for made in found] == [21] * 4
    assert [each.name for each in CACHE.iterdir()] == [ORIGIN.folder(CACHE).name]
    made_once(ORIGIN, CACHE, nothing)


def test_data_of_which_nothing_can_be_made_leave_nothing() -> None:
    def fail(allocate: Allocate) -> Made:
        allocate("half", np.int64, (4,))
        raise DataError("no.")

    with pytest.raises(DataError):
        made_once(ORIGIN, CACHE, fail)
    assert not Path("data").exists()
    Path("data").mkdir()
    with pytest.raises(DataError):
        made_once(ORIGIN, CACHE, fail)
    assert Path("data").is_dir() and not CACHE.exists()


def test_a_cache_that_cannot_be_written_costs_memory_alone() -> None:
    CACHE.parent.mkdir()
    CACHE.write_text("a file")
    found = made_once(ORIGIN, CACHE, numbers)
    assert not isinstance(found.arrays["large"], np.memmap) and found.facts == {"names": ["a", "ü"]}


def test_the_code_of_a_package_is_that_of_its_modules() -> None:
    package, module = ModuleType("package"), ModuleType("module")
    for name in ("__init__", "one", "two"):
        Path("package").mkdir(exist_ok=True)
        Path(f"package/{name}.py").write_text(name)
    package.__file__, module.__file__ = "package/__init__.py", "package/one.py"
    of_both, of_one = code_of(package), code_of(module)
    Path("package/two.py").write_text("edited")
    assert code_of(package) != of_both and code_of(module) == of_one
    Path("package/one.py").write_text("edited")
    assert code_of(module) != of_one
