"""The hub of Hugging Face: data sets by download, or from the cache of its client."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from seqbench.errors import one_line

if TYPE_CHECKING:
    import datasets

#: Seconds after which a hub that has not answered counts as out of reach.
TIMEOUT = 5.0


class HubError(Exception):
    """A data set of the hub that cannot be loaded. The message continues a sentence that names it."""


def load_from_hub(hub_id: str, split: str) -> datasets.Dataset:
    """Return a split of a data set, from the client's cache if the hub is out of reach.

    Args:
        hub_id: its name, after a colon the folder of it that counts, and after an @ a revision other than the
            newest: `owner/name:v0.02@refs/convert/parquet`.
        split: its name.

    Raises:
        HubError: the hub is out of reach and the data set not cached, or it cannot be loaded.
    """
    import datasets

    name, folder, revision = parts(hub_id)
    offline = datasets.config.HF_HUB_OFFLINE or not answers(name)
    try:
        with _offline_mode(offline):
            return datasets.load_dataset(name, data_dir=folder, split=split, revision=revision)
    except Exception as error:  # the client's errors have no base of their own
        reason = "is out of reach and not cached" if offline else f"cannot be loaded ({type(error).__name__})"
        raise HubError(reason) from error


def load_splits(
    path: str, name: str | None, revision: str | None, missing: Sequence[str] | None = None
) -> Mapping[str, datasets.Dataset]:
    """Return all splits of a data set, by their names.

    Args:
        path: its id on the hub, or a folder in the hub's layout, for which no network is needed.
        name: of its configuration, if it has several.
        revision: a branch, tag or commit.
        missing: of a folder of CSV files: what is missing; None for all that pandas takes for it.

    Raises:
        HubError: as for `load_from_hub`.
    """
    import datasets

    here = Path(path).expanduser()
    if here.is_dir():
        return _load_folder(here, name, missing)
    told = datasets.config.HF_HUB_OFFLINE
    offline = told or not answers(path)
    try:
        with _offline_mode(offline):
            found = datasets.load_dataset(path, name=name, revision=revision)
    except Exception as error:  # the client's errors have no base of their own
        why = "is not cached, and HF_HUB_OFFLINE is set" if told else "is out of reach and not cached"
        raise HubError(why if offline else f"cannot be loaded: {one_line(error)}") from error
    return cast("Mapping[str, datasets.Dataset]", found)


def _load_folder(
    folder: Path, name: str | None, missing: Sequence[str] | None
) -> Mapping[str, datasets.Dataset]:
    """Return all splits of a folder in the hub's layout.

    They do not pass through the client's cache, which takes a file for unchanged by its time, and would serve
    a folder that is gone as the data set of its name.
    """
    import datasets

    bars, log = datasets.are_progress_bars_disabled(), logging.getLogger("datasets")
    datasets.disable_progress_bars()  # it takes no longer than to read the files
    level = log.level
    log.setLevel(logging.CRITICAL)  # what it says of a failure is said below
    try:
        with _offline_mode(True), tempfile.TemporaryDirectory() as scratch:
            if name is not None and name not in (names := datasets.get_dataset_config_names(str(folder))):
                raise HubError(f"has no configuration {name!r}, but {', '.join(names)}")
            reads = {} if missing is None else {"na_values": [*missing], "keep_default_na": False}
            found = datasets.load_dataset(
                str(folder), name=name, cache_dir=scratch, keep_in_memory=True, **reads
            )
    except HubError:
        raise
    except Exception as error:  # the client's errors have no base of their own
        reason = one_line(error.__cause__ or error)
        if split := re.search(r'Instruction "(.+)" corresponds to no data', reason):
            raise HubError(f"has no rows for {split[1]}") from error
        raise HubError(f"cannot be loaded: {reason}") from error
    finally:
        log.setLevel(level)
        if not bars:
            datasets.enable_progress_bars()
    return cast("Mapping[str, datasets.Dataset]", found)


def parts(hub_id: str) -> tuple[str, str | None, str | None]:
    """Return the name of a data set, the folder of it that counts, and the revision; see `load_from_hub`."""
    place, _, revision = hub_id.partition("@")
    name, _, folder = place.partition(":")
    return name, folder or None, revision or None


def answers(hub_id: str) -> bool:
    """Return whether the hub answers one short request."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(hub_id, timeout=TIMEOUT)
    except HfHubHTTPError:
        return True  # an answer, if an error; `load_dataset` says what it means
    except Exception:  # of whichever HTTP library is below
        return False
    return True


@contextlib.contextmanager
def _offline_mode(offline: bool) -> Iterator[None]:
    """Set whether the client is offline. Offline it reads its cache at once and does not try the network."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def cache_folder(hub_id: str) -> Path:
    """Return where the client caches a data set."""
    from huggingface_hub.constants import HF_HOME

    cache = os.environ.get("HF_DATASETS_CACHE") or Path(HF_HOME) / "datasets"
    return Path(cache) / parts(hub_id)[0].replace("/", "___")


def is_cached(hub_id: str) -> bool:
    """Return whether the client has cached a data set."""
    return any(cache_folder(hub_id).glob("**/dataset_info.json"))
