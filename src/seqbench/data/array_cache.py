"""Arrays that take long to make: made once, cached by content, mapped into memory.

An entry is a folder DATA_DIR/.cache/KIND-KEY with an .npy file for each array, and `facts.json`. Its key is a
hash of the contents of the data, of the settings, and of the code that makes the arrays: an entry that does
not fit is never found. A hash of all that is in it says whether it is as it was written: one that was cut or
changed is made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqbench.data.loading import fingerprint

#: The file of an entry with what is in it besides arrays.
FACTS = "facts.json"
#: What reading a damaged entry may raise.
DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError)

#: Returns an array by name, type and shape, which is to be filled: in a file of the entry, or in memory.
Allocate = Callable[[str, Any, tuple[int, ...]], NDArray[Any]]


class Origin(NamedTuple):
    """What arrays are made of.

    Attributes:
        kind: of the arrays; entries of a kind are told apart by the rest.
        places: where the data lie, whatever their contents.
        contents: hashes of the data.
        code: a hash of the code that makes the arrays, see `code_of`.
        settings: that shape the arrays, as JSON has them.
    """

    kind: str
    places: Sequence[str]
    contents: Sequence[str]
    code: str
    settings: Sequence[Any]

    @property
    def version(self) -> str:
        """A hash of the contents and of the code."""
        return _hash([self.code, *self.contents])

    def folder(self, cache: Path) -> Path:
        """Return the folder of the entry in a cache."""
        return cache / f"{self.kind}-{_hash([self.version, *self.settings])}"


class Made(NamedTuple):
    """Arrays, by names that files may have, and facts about them, as JSON has them."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]


def made_once(origin: Origin, cache: Path, make: Callable[[Allocate], Made]) -> Made:
    """Return arrays from a cache if they are there as they were written, else make them and put them there.

    A change of a returned array does not reach its file. Processes that make the same at once do not hurt
    each other. Where an entry is made, those are removed that were made of what the same places held before,
    or by other code. A cache that cannot be written only costs time and memory.

    Args:
        origin: what the arrays are made of.
        cache: the folder of all entries.
        make: makes the arrays. Large ones had better lie in what its argument allocates, and need then never
            be in memory as a whole.
    """
    folder = origin.folder(cache)
    with suppress(*DAMAGED):
        return _read(folder)
    new = [each for each in (cache, *cache.parents) if not each.exists()]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=cache, prefix=f".{origin.kind}-"))
        draft = scratch / "whole"
        draft.mkdir()  # which others may read, as the folder around it may not be
    except OSError:
        return _in_memory(make)
    try:
        made = make(lambda name, *form: np.lib.format.open_memmap(draft / f"{name}.npy", "w+", *form))
        _write(made, origin, draft)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process was faster
            draft.rename(folder)
        _remove_superseded(origin, cache)
        with suppress(*DAMAGED):  # another process is just putting its own there
            return _read(folder)
        return made._replace(facts=_as_json(made.facts))
    except OSError:  # the disk is full
        return _in_memory(make)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for each in new:  # where nothing could be made of the data, nothing is left
            with suppress(OSError):
                each.rmdir()


def code_of(*modules: ModuleType) -> str:
    """Return a hash of the source of modules; that of a package is of all modules in it."""
    files = [Path(str(module.__file__)) for module in modules]
    sources = [
        source
        for file in files
        for source in (sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file])
    ]
    return _hash(list(map(fingerprint, [*sources, Path(__file__)])))


def _in_memory(make: Callable[[Allocate], Made]) -> Made:
    made = make(lambda name, kind, shape: np.empty(shape, kind))
    return made._replace(facts=_as_json(made.facts))


def _read(folder: Path) -> Made:
    """Return what an entry holds.

    Raises:
        OSError, ValueError, KeyError, TypeError, EOFError: it is not what was written, or nothing is there.
    """
    kept = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in kept["arrays"]}
    if _digest(arrays, kept["facts"]) != kept["digest"]:
        raise ValueError(f"{folder} was changed")
    return Made(arrays, kept["facts"])


def _write(made: Made, origin: Origin, folder: Path) -> None:
    for name, array in made.arrays.items():
        if isinstance(array, np.memmap):
            array.flush()
        else:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    kept = {
        "places": origin.places,
        "version": origin.version,
        "arrays": list(made.arrays),
        "facts": made.facts,
        "digest": _digest(made.arrays, _as_json(made.facts)),
    }
    (folder / FACTS).write_text(json.dumps(kept), encoding="utf-8")


def _remove_superseded(origin: Origin, cache: Path) -> None:
    """Remove what was made of the same places when they held something else, or by other code.

    Who has mapped it keeps it. Who is about to read it finds a damaged one, and makes it anew.
    """
    for folder in cache.glob(f"{origin.kind}-*"):
        with suppress(*DAMAGED):
            kept = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            if kept["places"] == list(origin.places) and kept["version"] != origin.version:
                shutil.rmtree(folder, ignore_errors=True)


def _digest(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> str:
    """Return a hash of arrays and facts."""
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _hash(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _as_json(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return facts as they are once written and read: lists in place of tuples."""
    found: Mapping[str, Any] = json.loads(json.dumps(facts))
    return found
