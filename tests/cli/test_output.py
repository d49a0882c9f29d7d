"""The streams of a command: closed, closing, without UTF-8; and what is printed of a failure."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from seqbench.sweeps.outcome import failure

CODE = "from seqbench.cli import main; main()"


def command(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line of the shell in which `seqbench` is the command."""
    seqbench = f'"{sys.executable}" -c "{CODE}"'
    return subprocess.run(
        ["bash", "-c", line.replace("seqbench ", f"{seqbench} ")],
        capture_output=True,
        env=os.environ | environment,
    )


def test_a_stream_without_utf8_gets_question_marks():
    said = command("seqbench ls model", PYTHONIOENCODING="ascii")
    assert said.returncode == 0, said.stderr
    assert said.stdout.isascii() and b"?" in said.stdout and b"lstm" in said.stdout
    said = command("seqbench data mnist", PYTHONIOENCODING="latin-1")
    assert said.returncode == 0, said.stderr


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error():
    said = command("set -o pipefail; seqbench ls | head -1; echo ${PIPESTATUS[0]}")
    assert said.stdout.split() == [b"task=", b"0"] and said.stderr == b""
    said = command("seqbench show task=latch model=rnn | true; echo ${PIPESTATUS[0]}")
    assert said.stdout.split() == [b"0"] and said.stderr == b""


@pytest.mark.slow
def test_closed_streams_are_no_error():
    said = command("seqbench ls >&-; echo $?; seqbench foo 2>&-; echo $?; seqbench foo >&- 2>&-; echo $?")
    assert said.stdout.split() == [b"0", b"2", b"2"] and said.stderr == b""


@pytest.mark.parametrize(
    "words", ["ls", *(pytest.param(words, marks=pytest.mark.slow) for words in ("--help", "show task=latch"))]
)
def test_a_full_disk_is_one_sentence(words):
    said = command(f"seqbench {words} > /dev/full")
    assert said.returncode == 1
    assert said.stderr == b"seqbench: cannot write the output: No space left on device.\n"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    raise ValueError(…)\n'
            "    ^^^^^^^^^\nlab.Oops: The cell failed because it allows:\n\n  a) one\nb) two\n",
            "lab.Oops: The cell failed because it allows: a) one b) two",
        ),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1\nKeyError: 1\n\nDuring handling of '
            "the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
            '  File "b.py", line 2\nZeroDivisionError: division by zero\n',
            "ZeroDivisionError: division by zero",
        ),
        (
            "MemoryError\n",
            "not enough memory; give a smaller batch_size, task.length or model.hidden_size, or",
        ),
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 40000000000000 bytes. Error code 12 (Cannot allocate memory)",
            "not enough memory; give a smaller batch_size",
        ),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.", "not enough memory; give a"),
    ],
)
def test_the_whole_message_of_a_failure_is_shown(error, shown):
    assert failure(error).startswith(shown) and "\n" not in failure(error)
