"""`seqbench ls`: every preset, one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqbench.cli.ls import main
from seqbench.config.presets import GROUPS, noted, preset_names, preset_node
from seqbench.errors import ConfigError
from tests.payloads import write


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
    with pytest.raises(ConfigError, match=r"experiment, model/readout, model/block, search\.$"):
        main(["nothing"])


def test_several_tables_have_headings(seqbench):
    lines = seqbench(
        "ls", "optims", "model/readout", "search", "callbacks", "--format", "md"
    ).out.splitlines()
    headings = ["## optim", "## model/readout", "## search", "## callbacks"]
    assert [line for line in lines if line.startswith("#")] == headings
    one = seqbench("ls", "optims", "--format", "md").out
    assert one.startswith("| preset | what it is |") and "#" not in one


def test_groups_of_a_part_are_listed(seqbench):
    said = seqbench("ls", "model/readout")
    assert said.code == 0 and [line.split()[0] for line in said.out.splitlines()] == [
        *("model/readout=", "deep", "linear", "ridge")
    ]
    refused = seqbench("task=stories", "model=memn2n", "model/readout=deep")
    assert refused.code == 2 and refused.err == "seqbench: This model has no model/readout to choose.\n"


def test_presets_are_listed_by_kind(seqbench):
    lines = seqbench("ls", "models").out.splitlines()
    kinds: dict[str, list[str]] = {}
    for line in lines[1:]:
        if line.startswith("  "):
            [*kinds.values()][-1].append(line.split()[0])
        else:
            kinds[line.strip()] = []
    assert kinds["gated"] == sorted(kinds["gated"]) and {"lstm", "gru", "mgu"} <= {*kinds["gated"]}
    assert {"leaky_rnn_short", "dilated_rnn"} <= {*kinds["time scales"]}, "a kind is inherited, or said anew"
    assert "others" not in kinds


def test_a_preset_of_ones_own_has_the_kind_of_what_it_builds_on(seqbench):
    folder = Path("presets/model")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# Mine.\ndefaults: [gru, _self_]\n")
    (folder / "own.yaml").write_text("# My own.\n_target_: lab.Net\n")
    lines = seqbench("ls", "models").out.splitlines()
    assert lines[-2:] == [" others", f"  {'own':<19}  My own"]
    table = seqbench("ls", "models", "--format", "md").out.splitlines()
    (mine,) = [line for line in table if "`mine`" in line]
    assert "| gated" in mine and "[`cells/gru.py`](../src/seqbench/models/cells/gru.py)" in mine


@pytest.mark.parametrize(("page", "group"), [("models", "models"), ("tasks", "tasks")])
def test_the_tables_of_the_pages_are_those_of_ls(seqbench, page, group):
    said = seqbench("ls", group, "--format", "md")
    assert said.code == 0, said.err
    text = (Path(__file__).parents[2] / "docs" / f"{page}.md").read_text()
    assert said.out in text, f"put what `seqbench ls {group} --format md` prints into docs/{page}.md"


def test_presets_that_cannot_be_read_are_in_the_tables(seqbench):
    for name, text in {"circle": "defaults: [circle]", "listed": "- a", "broken": "a: [", "none": ""}.items():
        for group in ("model", "task"):
            write(f"presets/{group}/{name}.yaml", f"# Mine.\n{text}\n")
    for group in ("models", "tasks"):
        for form in ("text", "md"):
            said = seqbench("ls", group, "--format", form)
            assert said.code == 0 and said.err == ""
            assert all(name in said.out for name in ("circle", "listed", "broken", "none"))


def test_a_kind_of_task_is_the_folder_of_its_class():
    for name in preset_names("task"):
        family = str(preset_node("task", name)._target_).split(".")[2]
        assert noted("task", name, "Kind") == family
