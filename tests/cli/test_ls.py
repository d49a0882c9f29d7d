"""`seqbench ls`: every preset, one line each."""

from __future__ import annotations

import pytest

from seqbench.cli.ls import main
from seqbench.config.presets import GROUPS, preset_names
from seqbench.errors import ConfigError


def test_ls_names_every_preset(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    for group in GROUPS:
        for name in preset_names(group):
            assert f"  {name} " in out


def test_groups_are_named_in_singular_or_plural(capsys):
    assert main(["task", "callbacks", "loggers"]) == 0
    headings = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert headings == ["task=", "callbacks=", "logger="]
    with pytest.raises(ConfigError, match=r"There is no group 'modles'\. Did you mean 'model'\?"):
        main(["modles"])


def test_groups_of_a_part_are_listed(seqbench):
    said = seqbench("ls", "model/readout")
    assert said.code == 0 and [line.split()[0] for line in said.out.splitlines()] == [
        *("model/readout=", "deep", "linear", "ridge")
    ]
    refused = seqbench("task=stories", "model=memn2n", "model/readout=deep")
    assert refused.code == 2 and refused.err == "seqbench: This model has no model/readout to choose.\n"
