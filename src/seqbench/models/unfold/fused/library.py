"""Compiled kernels: from C source to a loaded library, with a cache on disk.

A library lies in a folder of the user's own under a name that holds the hash of its source, the compiler and
its flags, and the processor. A folder or a file of another owner, or one that others may write, is not used;
nor is a file whose contents do not agree with the checksum that was written beside it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import stat
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

#: No -ffast-math: it changes what NaN and infinity do.
FLAGS = ("-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC", "-shared")
#: -O3 for the products, which must be unrolled; a kernel's loops gain nothing from it and compile for longer.
LEVEL = {True: ("-O3",), False: ("-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic")}
HERE = Path(__file__).parent
HEADER, PRODUCTS = HERE / "kernel.h", HERE / "products.c"


class CompileError(Exception):
    """A kernel cannot be compiled; the message says why."""


class NoCompilerError(CompileError):
    """No kernel can: there is no compiler, it fails whatever it is given, or the cache cannot be used."""


@cache
def compiler() -> tuple[str, str] | None:
    """Return the command of the C compiler, `$CC` if that is set, and its version; None if there is none."""
    given = os.environ.get("CC")
    for command in [given] if given else ["cc", "gcc", "clang"]:
        with suppress(OSError, ValueError, subprocess.CalledProcessError):
            found = subprocess.run([*shlex.split(command), "--version"], capture_output=True, check=True)
            return command, found.stdout.decode(errors="replace").partition("\n")[0]
    return None


@cache
def _processor() -> tuple[str, int]:
    """Return what tells processors apart, and the bytes of a vector register."""
    flags = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    size = 64 if " avx512f" in flags else 32 if " avx2" in flags else 16
    return f"{platform.machine()} {flags}", size


def cache_folder() -> Path:
    """Return the folder of compiled kernels, which nobody else can write in.

    Raises:
        CompileError: it cannot be made, or belongs to another user.
    """
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute()
        folder = base / "seqbench" / "kernels"
        for part in (folder.parent, folder):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = [part.stat() for part in (folder.parent, folder)]
    except RuntimeError as error:  # there is no home
        raise CompileError(f"there is no folder for kernels: {error}") from error
    except OSError as error:
        raise CompileError(f"{folder} cannot be made: {error.strerror}") from error
    if any(part.st_uid != os.getuid() or part.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for part in found):
        raise CompileError(f"{folder} or the folder above belongs to another user, or others may write in it")
    return folder


@cache
def library(source: str, dtype: str) -> ctypes.CDLL:
    """Return the compiled source, from the cache where it is there.

    Args:
        source: C.
        dtype: `float` or `double`.

    Raises:
        CompileError: it cannot be compiled.
    """
    products = PRODUCTS.read_text(encoding="utf-8")
    if source != products:
        check_compiler(dtype)  # (the functions of products.c are found by kernels that are loaded after them)
    if (found := compiler()) is None:
        given = os.environ.get("CC")
        raise CompileError(f"CC={given} is no compiler" if given else "there is no C compiler")
    command, version = found
    processor, size = _processor()
    flags = [
        *LEVEL[source == products],
        *FLAGS,
        f"-DREAL={dtype}",
        f"-DREAL_IS_FLOAT={int(dtype == 'float')}",
        f"-DBYTES={size}",
    ]
    flags += [f"-D{name}={name}_{dtype}" for name in ("product", "outer", "pack", "add")]
    if platform.machine() in ("x86_64", "AMD64"):
        flags.append(f"-mprefer-vector-width={size * 8}")
    key = "\n".join([source, HEADER.read_text(encoding="utf-8"), command, version, *flags, processor])
    file = cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.so"
    try:
        if not _is_sound(file):
            _compile(source, command, flags, file)
        return ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL if source == products else ctypes.DEFAULT_MODE)
    except OSError as error:
        raise CompileError(f"{command} and {file.parent} give no library: {error}") from error


@cache
def _obstacle(dtype: str) -> str | None:
    try:
        library(PRODUCTS.read_text(encoding="utf-8"), dtype)
    except CompileError as error:
        return str(error)
    return None


def compiler_obstacle() -> str | None:
    """Return why nothing can be compiled here, or None."""
    return _obstacle("float")


def check_compiler(dtype: str) -> None:
    """Raise a NoCompilerError where no kernel can be compiled: where not even what all are built on can."""
    if (why := _obstacle(dtype)) is not None:
        raise NoCompilerError(why)


def _checksum(file: Path) -> Path:
    return file.with_suffix(".sha256")


def _is_sound(file: Path) -> bool:
    """Whether a library is there, is the user's own and is what was written."""
    try:
        for part in (file, _checksum(file)):
            found = part.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
                return False
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return False
        return hashlib.sha256(file.read_bytes()).hexdigest() == _checksum(file).read_text(encoding="ascii")
    except OSError:
        return False


def _compile(source: str, compiler: str, flags: list[str], file: Path) -> None:
    """Compile into a file; another process may do the same at the same time."""
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        text, made = Path(scratch, "kernel.c"), Path(scratch, "kernel.so")
        text.write_text(source, encoding="utf-8")
        done = subprocess.run(
            [*shlex.split(compiler), *flags, f"-I{HERE}", "-o", str(made), str(text), "-lm"],
            capture_output=True,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").splitlines()
            lines = [line for line in said if "error" in line] or said
            raise CompileError(f"{compiler} fails: {(lines or ['no message'])[0].rpartition('error: ')[2]}")
        made.chmod(0o700)
        checksum = Path(scratch, "kernel.sha256")
        checksum.write_text(hashlib.sha256(made.read_bytes()).hexdigest(), encoding="ascii")
        checksum.chmod(0o600)  # whatever the umask: a file that others may write is not used
        made.replace(file)
        checksum.replace(_checksum(file))
