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
