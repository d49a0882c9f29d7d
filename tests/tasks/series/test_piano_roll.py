"""Piano rolls: what a file becomes, the field's loss, and which faults are named where."""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from seqbench.errors import ConfigError, DataError
from seqbench.tasks.series.piano_roll import FILE, PianoRoll
from seqbench.tasks.specs import LabelSet

MUSIC: dict[str, Any] = {
    "train": [[[60, 64], [60], [], [108, 21]], [[60], [62]], [[60, 64], [62], [62]]],
    "valid": [[[60], [60, 64]]],
    "test": [[[60], [62, 64], []], [[64], [60]]],
}


def write(path: Path, music: Any = MUSIC) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(music))
    return path


def test_the_target_of_a_step_are_the_notes_of_the_next(tmp_path: Path) -> None:
    task = PianoRoll(str(write(tmp_path / "a.json")))
    train = task.read_split("train")
    assert train.inputs.shape == train.targets.shape == (3, 3, 88)
    assert train.lengths is not None and train.lengths.tolist() == [3, 1, 2]
    assert train.mask is not None and train.mask.sum(1).tolist() == [3, 1, 2]
    notes = [[(step.nonzero().flatten() + 21).tolist() for step in piece] for piece in train.inputs]
    assert notes == [[[60, 64], [60], []], [[60], [], []], [[60, 64], [62], []]]
    notes = [[(step.nonzero().flatten() + 21).tolist() for step in piece] for piece in train.targets]
    assert notes == [[[60], [], [21, 108]], [[62], [], []], [[62], [62], []]]
    assert (task.length, task.steps, task.metric, task.direction) == (3, 3, "loss", "min")
    names = task.token_names()[0]
    assert (names[0], names[39], names[87]) == ("A0", "C4", "C8")
    assert task.in_words(train.targets[0] * 2 - 1) == "C4 | – | A0 C8"
    assert task.about()["examples"] == "3 train, 1 validation, 2 test"


def test_the_loss_is_the_sum_over_the_keys_averaged_over_the_steps(tmp_path: Path) -> None:
    task = PianoRoll(str(write(tmp_path / "a.json")))
    batch = task.test(3)
    outputs = torch.randn(2, 2, 88, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_hand = []
    for piece, step in ((0, 0), (0, 1), (1, 0)):  # the second step of the second piece is padding
        p = [1 / (1 + math.exp(-z)) for z in outputs[piece, step].tolist()]
        there = batch.targets[piece, step].tolist()
        by_hand.append(-sum(math.log(q if t else 1 - q) for q, t in zip(p, there, strict=True)))
    batch = batch._replace(targets=batch.targets.double())
    assert task.targets.loss(outputs, batch).item() == pytest.approx(sum(by_hand) / 3, rel=1e-12)
    values, weights = task.measure(outputs, batch)["loss"]
    assert (values * weights).sum().item() / weights.sum().item() == pytest.approx(
        sum(by_hand) / 3, rel=1e-12
    )
    assert task.targets.probabilities(torch.zeros(88)).tolist() == [0.5] * 88


def test_the_baseline_is_how_often_each_key_sounds_in_training(tmp_path: Path) -> None:
    task = PianoRoll(str(write(tmp_path / "a.json")))
    counts = {21: 1, 108: 1, 60: 1, 62: 3}  # in six targets
    steps: list[set[int]] = [{62, 64}, set(), {60}]
    total = 0.0
    for step in steps:
        for key in range(21, 109):
            p = (counts.get(key, 0) + 1) / 8
            total -= math.log(p if key in step else 1 - p)
    assert task.baseline_loss(3) == pytest.approx(total / 3, rel=1e-12)
    assert task.chance(3) == {}


def test_batches_are_cut_to_the_longest_and_no_fingerprint_depends_on_the_place(tmp_path: Path) -> None:
    task = PianoRoll(str(write(tmp_path / "a.json")))
    steps = {batch.inputs.shape[1] for batch in islice(task.train_batches(0, 1), 6)}
    assert steps == {1, 2, 3}
    same = PianoRoll(data_dir=write(tmp_path / "data" / "jsb_chorales" / FILE).parents[1])
    assert same.fingerprint() == task.fingerprint()
    other = json.loads(json.dumps(MUSIC).replace("108", "107"))
    assert PianoRoll(str(write(tmp_path / "b.json", other))).fingerprint() != task.fingerprint()


def test_a_loss_may_count_as_solved(tmp_path: Path) -> None:
    task = PianoRoll("x.json", solved_at=8.45)
    assert task.solved({"loss": 8.45}) and not task.solved({"loss": 8.46})
    assert "8.45 nats a step" in str(task.solved_when) and PianoRoll("x.json").solved_when is None
    with pytest.raises(ConfigError, match=r"task\.solved_at=0 must be above 0"):
        PianoRoll("x.json", solved_at=0)
    assert LabelSet(3, True).in_words == "any of 3 labels at each step"


FAULTS: dict[str, tuple[Any, str]] = {
    "no split": ({"train": MUSIC["train"], "test": MUSIC["test"]}, "no list of pieces under 'valid'"),
    "a list": ([1], "no list of pieces under 'train'; it needs train, valid, test"),
    "no pieces": (MUSIC | {"test": []}, "no list of pieces under 'test'"),
    "one step": (MUSIC | {"test": [[[60]]]}, "piece 0 of 'test' is no list of two steps"),
    "a pitch alone": (MUSIC | {"test": [[60, 61]]}, "piece 0 of 'test' has 60 at step 0, and no list"),
    "too high": (
        MUSIC | {"valid": [[[60], [109]]]},
        "has the pitch 109 at step 1, and not a number from 21 to",
    ),
    "no number": (MUSIC | {"valid": [[["C"], [60]]]}, "has the pitch 'C' at step 0"),
    "true": (MUSIC | {"valid": [[[60], [True]]]}, "has the pitch True at step 1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_with_its_place(tmp_path: Path, fault: str) -> None:
    content, said = FAULTS[fault]
    with pytest.raises(DataError, match=rf"a\.json.*{said}"):
        PianoRoll(str(write(tmp_path / "a.json", content))).prepare(1)


def test_a_file_that_is_missing_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"There is no file .*jsb-chorales-quarter\.json: put the piano rolls"
    ):
        PianoRoll(data_dir=tmp_path).prepare(1)
    (tmp_path / "a.pickle").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(DataError, match=r"a\.pickle cannot be read as JSON"):
        PianoRoll(str(tmp_path / "a.pickle")).prepare(1)
