"""Reading new sequences, in a reader's words, as the tensors that a model takes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seqbench.errors import DataError, listed, nearest, one_line, say_once
from seqbench.tasks.specs import Input, Tokens


class NewSequences(NamedTuple):
    """Sequences of a file, for a trained model.

    Attributes:
        given: the arguments of the model's `forward`, by name.
        names: of the sequences.
        steps: what the steps of each are called.
        headings: what names and steps are.
    """

    given: dict[str, Any]
    names: list[str]
    steps: list[list[str]]
    headings: tuple[str, str]


def lines(path: Path, tokens: bool) -> list[Any]:
    """Return the sequences of a file, one a line: tokens with spaces between them, or a list of JSON.

    Args:
        path: of the file.
        tokens: whether a line that is no JSON is one of tokens.

    Raises:
        DataError: the file cannot be read, holds nothing, or a line is no sequence.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        before, wrong = error.object[: error.start].count(b"\n"), error.object[error.start]
        raise DataError(f"{path} line {before + 1} is not UTF-8: it has the byte 0x{wrong:02x}.") from error
    found: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):  # other ends of lines may be tokens
        if not line.strip():
            continue
        if line.lstrip().startswith("["):
            try:
                found.append(json.loads(line))
                continue
            except (ValueError, RecursionError) as error:
                if not tokens:
                    raise DataError(f"{path} line {number} is no list of JSON: {one_line(error)}.") from error
        elif not tokens:
            raise DataError(f"{path} line {number} is no list of JSON, such as [[0.1, 0.2], [0.3, 0.4]].")
        found.append(line)
    if not found:
        raise DataError(f"{path} holds no sequence.")
    return found


def as_tensors(
    sequences: Any,
    spec: Input,
    names: Sequence[str],
    normalised: Callable[[Any], Any] = lambda sequence: sequence,
    unknown: str | None = None,
) -> list[Tensor]:
    """Return several sequences, each as `as_tensor` takes it, as tensors.

    Args:
        sequences: the sequences.
        spec: what each must be.
        names: of the tokens.
        normalised: makes of each sequence one in these names.
        unknown: the one of these that a token without a name counts as, which is said; None if none does.

    Raises:
        DataError: one is no such sequence, or there is none.
    """
    if isinstance(sequences, str) or not isinstance(sequences, Iterable):
        raise DataError(f"Give a list of sequences, and not {sequences!r}.")
    sequences = [normalised(each) for each in sequences]
    if unknown is not None and unknown in names:
        sequences = _with_unknown(sequences, names, unknown)
    found = [as_tensor(each, spec, names) for each in sequences]
    if not found:
        raise DataError("Give a list of sequences, and not an empty one.")
    return found


def as_tensor(sequence: Any, spec: Input, names: Sequence[str]) -> Tensor:
    """Return one sequence as a tensor: tokens (T,) of int64, or vectors (T, F) of float32.

    Args:
        sequence: for tokens a text of their names with spaces between them, a list of names, or their numbers
            (T,); for vectors numbers (T, F), or (T,) where F is 1.
        spec: what the sequence must be.
        names: of the tokens.

    Raises:
        DataError: it is no such sequence.
    """
    wanted = f"A sequence must be {_wanted(spec)}"
    if isinstance(spec, Tokens):
        if isinstance(sequence, str):
            sequence = sequence.split()
        if isinstance(sequence, Sequence) and any(isinstance(token, str) for token in sequence):
            sequence = _numbers(sequence, names)
    try:
        found = torch.as_tensor(sequence)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{wanted}: {error}.") from error
    if found.is_complex():
        raise DataError(f"{wanted}, and one has complex ones.")
    if not isinstance(spec, Tokens):
        found = found[:, None] if found.ndim == 1 and spec.size == 1 else found
        if found.ndim != 2 or found.shape[1] != spec.size or not len(found):
            raise DataError(f"{wanted}, and one has the shape {tuple(found.shape)}.")
        found = found.float()
        if not (finite := found.isfinite().all(1)).all():
            raise DataError(f"{wanted}, and step {int(finite.long().argmin()) + 1} of one is not finite.")
        return found
    if found.ndim != 1 or not len(found) or found.is_floating_point():
        raise DataError(f"{wanted}, and one has the shape {tuple(found.shape)}.")
    if (strangers := found[(found < 0) | (found >= spec.size)]).numel():
        raise DataError(f"There is no token {int(strangers[0])}; the tokens are 0 to {spec.size - 1}.")
    return found.long()


def padded(sequences: Sequence[Tensor]) -> dict[str, Any]:
    """Return sequences (T, …) as one tensor (B, T, …), with their lengths where these differ."""
    lengths = torch.tensor([len(each) for each in sequences])
    batch: dict[str, Any] = {"inputs": pad_sequence(list(sequences), batch_first=True)}
    return batch if (lengths == lengths[0]).all() else batch | {"lengths": lengths}


def lowered(sequence: Any) -> Any:
    """Return a sequence with its tokens in lower case, where they are names."""
    if isinstance(sequence, str):
        return sequence.lower()
    if isinstance(sequence, list | tuple):
        return [token.lower() if isinstance(token, str) else token for token in sequence]
    return sequence


def _with_unknown(sequences: list[Any], names: Sequence[str], unknown: str) -> list[Any]:
    """Return sequences with `unknown` for each token that has no name, and say which these are."""
    known = {*names}
    strangers: Counter[str] = Counter()
    found = []
    for each in sequences:
        tokens = each.split() if isinstance(each, str) else each
        if isinstance(tokens, list | tuple) and all(isinstance(token, str) for token in tokens):
            strangers.update(token for token in tokens if token not in known)
            tokens = [token if token in known else unknown for token in tokens]
        found.append(tokens)
    if strangers:
        say_once(f"training has no {listed([*strangers])}: {strangers.total()} of the tokens are {unknown}.")
    return found


def _numbers(tokens: Sequence[Any], names: Sequence[str]) -> list[int]:
    """Return the numbers of tokens by their names."""
    number = {name: i for i, name in enumerate(names)}
    for token in tokens:
        if token not in number:
            text = str(token)
            if len(text) > 1 and all(character in number for character in text):
                apart = " ".join(text)
                raise DataError(f"There is no token {token!r}; with spaces between tokens it is {apart!r}.")
            near = nearest(text, names)
            raise DataError(f"There is no token {token!r}.{near} There are: {listed(names)}.")
    return [number[token] for token in tokens]


def _wanted(spec: Input) -> str:
    if isinstance(spec, Tokens):
        return "tokens (T,), by name or by number"
    return f"numbers (T, {spec.size})"
