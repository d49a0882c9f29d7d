"""Copy memory."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.synthetic.copy_memory import CopyMemory


@pytest.mark.parametrize(("length", "symbols", "alphabet"), [(1, 1, 2), (5, 3, 4), (20, 10, 8)])
def test_target_repeats_the_text_at_the_end(length, symbols, alphabet):
    task = CopyMemory(length=length, symbols=symbols, alphabet=alphabet)
    batch = task.sample(torch.Generator().manual_seed(0), 50, length)
    blank, delimiter = alphabet, alphabet + 1
    for given, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        text = given[:symbols]
        assert all(0 <= symbol < alphabet for symbol in text)
        assert given == text + [blank] * (length - 1) + [delimiter] + [blank] * symbols
        assert target == [blank] * (length + symbols) + text


def test_the_docstrings_example():
    task = CopyMemory(length=6, symbols=3)
    (given,), (target,) = task.sample(torch.Generator().manual_seed(0), 1, 6)[:2]
    text = "".join(map(str, given[:3].tolist()))

    def drawn(row):
        return "".join({8: "_", 9: "|"}.get(token, str(token)) for token in row.tolist())

    assert drawn(given) == f"{text}_____|___"
    assert drawn(target) == f"_________{text}"


def test_accuracy_is_over_the_recalled_symbols_and_loss_over_all():
    task = CopyMemory(length=2, symbols=2, alphabet=2)
    batch = Batch(torch.tensor([[0, 1, 2, 3, 2, 2]]), torch.tensor([[2, 2, 2, 2, 0, 1]]))
    said = torch.tensor([[0, 0, 0, 0, 0, 0]])  # of the six wrong, five; of the two recalled, one
    measures = task.measure(10.0 * torch.nn.functional.one_hot(said, 4), batch)
    assert measures["accuracy"][0].tolist() == [[1, 0]] and measures["accuracy"][1].tolist() == [[1, 1]]
    assert (measures["loss"][0] > 5).tolist() == [[True, True, True, True, False, True]]


def test_bad_values_are_refused():
    CopyMemory(length=1, symbols=1, alphabet=2)
    for bad, message in [
        ({"length": 0}, "task.length=0 is too short"),
        ({"symbols": 0}, "task.symbols=0 leaves nothing to copy"),
        ({"alphabet": 1}, "task.alphabet=1 leaves nothing to tell apart"),
    ]:
        with pytest.raises(ConfigError, match=message):
            CopyMemory(**bad)
