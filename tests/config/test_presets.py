"""Presets: what is listed, and what is known of them without composing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hydra
import pytest

import seqbench
from seqbench.config.presets import (
    CONF_DIR,
    GROUPS,
    OTHER_GROUPS,
    add_presets,
    describe,
    model_accepts,
    preset_names,
    user_presets,
)
from seqbench.errors import ConfigError


def test_every_group_is_a_folder_and_the_other_way_round():
    folders = {path.name for path in CONF_DIR.iterdir() if path.is_dir()}
    assert folders == {*GROUPS, *OTHER_GROUPS, "hydra"}  # what Hydra itself takes, such as launchers


@pytest.mark.parametrize(
    "name", ["lstm", "gru_chrono", "echo_state", "ntm", "seq2seq", "tree_lstm", "memn2n"]
)
def test_what_a_model_accepts_is_what_its_composed_class_says(name):
    target = seqbench.compose([f"model={name}"]).model._target_
    assert model_accepts(name) == hydra.utils.get_class(target).accepts != ()


def test_what_models_accept_is_found_once_and_anew_for_other_presets():
    assert model_accepts("mine") == ()
    folder = Path("presets/model")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("defaults: [gru, _self_]\nhidden_size: 3\n")
    assert model_accepts("mine") == model_accepts("gru") and "sequence" in model_accepts("gru")
    assert "mine" in preset_names("model")
    (folder / "broken.yaml").write_text("cell: [1,\n")
    assert model_accepts("broken") == ()


def test_a_preset_is_described_by_its_first_comment():
    folder = Path("presets/experiment")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# @package _global_\n# What I try.\n# seqbench experiment=mine\n")
    assert describe("experiment", "mine") == "What I try"
    for group in GROUPS:
        assert all(describe(group, name) for name in preset_names(group))


def test_presets_may_lie_in_folders():
    for file in ("mine/lstm", "mine/_part", "readout/wide", ".old/gru"):
        path = Path("presets/model", f"{file}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# Of mine.\ndefaults: [lstm, _self_]\nhidden_size: 3\n")
    own = {*preset_names("model")} - {path.stem for path in (CONF_DIR / "model").glob("*.yaml")}
    assert own == {"mine/lstm"} and describe("model", "mine/lstm") == "Of mine"
    assert "wide" in preset_names("model/readout")
    assert seqbench.compose(["model=mine/lstm"]).model.hidden_size == 3
    assert model_accepts("mine/lstm") == model_accepts("lstm")


def test_the_first_of_several_folders_that_has_a_preset_counts(monkeypatch):
    for folder in ("one", "other"):
        Path(folder, "model").mkdir(parents=True)
        Path(folder, "model", "mine.yaml").write_text(f"# Of {folder}.\n")
        Path(folder, "model", f"{folder}.yaml").write_text("# Alone.\n")
    monkeypatch.setenv("SEQBENCH_PRESETS", "one")
    assert describe("model", "mine") == "Of one" and "other" not in preset_names("model")
    add_presets("other")
    assert describe("model", "mine") == "Of other" and len(user_presets()) == 2
    assert {"one", "other", "lstm"} <= {*preset_names("model")}
    Path("a:b/model").mkdir(parents=True)
    add_presets("a:b")
    assert describe("model", "mine") == "Of one" and len(user_presets()) == 2
    for wrong, says in (
        ("", "is not a folder"),
        ("one/model", "is the folder of a group; give the one above, one"),
    ):
        with pytest.raises(ConfigError, match=f"^--config-dir={wrong} {says}"):
            add_presets(wrong)


def test_a_named_folder_of_presets_must_exist(monkeypatch):
    monkeypatch.setenv("SEQBENCH_PRESETS", "nowhere")
    with pytest.raises(ConfigError, match="SEQBENCH_PRESETS=nowhere is not a folder"):
        preset_names("model")


def test_import_is_light():
    code = (
        "import sys, seqbench, seqbench.config.compose, seqbench.config.build, seqbench.config.identity;"
        "assert not {'torch', 'lightning', 'pydantic', 'hydra', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
