"""How a run ended, in words and in plain values."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.errors import SeqbenchError, one_line
from seqbench.sweeps.job import Ended

if TYPE_CHECKING:
    from seqbench.runs.result import Result

#: The name of the fingerprint of a task's data, among what runs are made of.
DATA = "the data"
#: Exit code of a command with a failed run.
FAILED = 1
#: What is in the traceback of a run that asked for more memory than there is, and what is said instead.
LACKS_MEMORY = re.compile(r"MemoryError|n[o']t allocate memory|out of memory|not enough memory")
NO_MEMORY = (
    "not enough memory; give a smaller batch_size, task.length or model.hidden_size, or train seeds one "
    "after another with trainer.seeds_together=false"
)


def ended(result: Result, folder: Path | str) -> Ended:
    """Return how the run in a folder ended, with its metric at the length that it was trained on.

    Real data have the one length that they are tested at.
    """
    lengths = list(result.test)
    own = str(result.config.get("task", {}).get("length"))
    tested = lengths[0] if len(lengths) == 1 else own
    return Ended(
        seed=result.seed,
        folder=str(folder),
        status=result.status,
        solved_at_step=result.solved_at_step,
        metric=result.metric,
        value=result.test.get(tested, {}).get(result.metric or ""),
        solvable=result.solved_when is not None,
        error=failure(result.error) if result.error is not None else None,
    )


def made_of(
    code: Mapping[str, str],
    data: str | None,
    revisions: Mapping[str, int] | None = None,
    execution: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return what decides a run's numbers beside its configuration, by name, `the code of model.cell`.

    Args:
        code: component of another package to a hash of its source.
        data: the fingerprint of the task's data; None where the configuration alone makes them.
        revisions: component and parameter to the revision of its numbers.
        execution: what is not plain in the execution mode.
    """
    found = {f"the code of {place}": source for place, source in code.items()}
    found |= {} if data is None else {DATA: data}
    found |= {f"the revision of {place}": str(number) for place, number in (revisions or {}).items()}
    return found | {f"the execution's {name}": str(its) for name, its in (execution or {}).items()}


def exit_code(error: Exception) -> int:
    """Return the exit code of a job that ended in an error."""
    return error.exit_code if isinstance(error, SeqbenchError) else FAILED


def failure(error: Exception | str) -> str:
    """Return the whole message of an error, or of a traceback's, on one line."""
    if isinstance(error, SeqbenchError):
        return str(error)
    text = error if isinstance(error, str) else "".join(traceback.format_exception(error))
    if LACKS_MEMORY.search(text):
        return NO_MEMORY
    lines = text.strip().splitlines()
    code = max((i for i, line in enumerate(lines) if line.startswith('  File "')), default=-1)
    message = next((i for i, line in enumerate(lines) if i > code and not line.startswith(" ")), 0)
    return one_line("\n".join(lines[message:]))
