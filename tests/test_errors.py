"""Messages: of other libraries, on one line and whole; and the key that was meant."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqbench.errors import LISTED, listed, nearest_key, one_line

KEYS = ["seed", "task.length", "model.hidden_size", "model.num_layers", "model.cell.forget_bias"]
KEYS += ["model.cell.chrono", "optim.lr", "optim.clip_norm", "optim.optimizer.betas", "trainer.max_steps"]


def test_the_whole_of_a_message_is_kept_on_one_line():
    assert (
        one_line(ValueError("It failed because it allows:\n\n  a\n  b.\n"))
        == "It failed because it allows: a b"
    )
    assert one_line(KeyError()) == "KeyError"
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.create({"a": "${nope}"}).a  # noqa: B018
    assert one_line(caught.value) == "Interpolation key 'nope' not found"


def test_a_message_without_end_is_cut_between_words():
    cut = one_line(ValueError("word " * 1000))
    assert len(cut) <= 602 and cut.endswith("word …")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("lr", "optim.lr"), ("forget_bias", "model.cell.forget_bias"), ("length", "task.length")),
        *(("clip", "optim.clip_norm"), ("model.cel.chrono", "model.cell.chrono"), ("sede", "seed")),
        *(("trainer.max_step", "trainer.max_steps"), ("optimizer.lr", "optim.lr"), ("beta", None)),
        *(("model.cell.hiden_size", "model.hidden_size"), ("foo", None), ("model.foo", None)),
        *(("model.cell.forget", "model.cell.forget_bias"), ("model.lr", "optim.lr")),
    ],
)
def test_the_key_that_was_meant_is_told_whole(typed, meant):
    meant = "optim.optimizer.betas" if typed == "beta" else meant
    assert nearest_key(typed, KEYS) == ("" if meant is None else f" Did you mean {meant!r}?")


def test_of_many_names_the_first_are_listed():
    assert listed(["a", "b"]) == "a, b"
    names = [str(i) for i in range(LISTED + 1)]
    assert listed(names[:-1]).endswith(", 11") and listed(names) == f"{', '.join(names[:-1])} and others"
