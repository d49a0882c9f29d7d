"""The lock of a run's folder: who writes into it, or removes it, holds the lock."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_FILE = ".lock"


def lock(folder: Path, locks: ExitStack, wait: bool = False) -> bool:
    """Take the lock of a run's folder until `locks` ends; return whether it could be had.

    The folder is made if it is not there. At the end it is removed if it is empty, and so are the folders of
    its configuration and its task.

    Args:
        folder: `<runs_dir>/<task>/<model>-<hash>/seed-<n>`.
        locks: what gives the lock back.
        wait: whether to wait for a process that holds it.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    file = FileLock(folder / LOCK_FILE, timeout=-1 if wait else 0)
    for attempt in range(100):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file.acquire()
            break
        except Timeout:
            return False
        except (FileExistsError, FileNotFoundError):
            if attempt == 99:
                raise
            time.sleep(0.002)  # another process may have removed the empty folder just now
    locks.callback(_remove_empty, folder)
    # Unlinked while it is held: after the release another process may hold it. One that waits for it with
    # the file open finds that the file has no name any more, and begins anew (filelock from 4.2 on).
    locks.callback(file.release)
    locks.callback((folder / LOCK_FILE).unlink, missing_ok=True)
    return True


def is_locked(folder: Path) -> bool:
    """Return whether a living process holds the lock of a run's folder. Nothing is written there.

    A process that was killed leaves the file of its lock, which nobody holds.
    """
    try:
        file = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # where files cannot be locked
        return False
    finally:
        os.close(file)  # gives it back
    return False


def _remove_empty(folder: Path) -> None:
    """Remove the folder of a run, and of its configuration and task, while they are empty."""
    with suppress(OSError):  # one that is not empty
        for place in (folder, folder.parent, folder.parent.parent):
            place.rmdir()
