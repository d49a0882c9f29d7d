"""A trained run is opened with its own configuration and the weights of its best evaluation."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import seqbench
from seqbench.config.compose import compose
from seqbench.errors import StoreError
from seqbench.runs.files import DamagedFileError
from seqbench.runs.store import read_result, write_result
from seqbench.runs.trained import load_run

TINY = ["task=latch", "task.length=5", "task.eval_size=8", "model=rnn", "model.hidden_size=3", "batch_size=4"]


@pytest.fixture(scope="module")
def _trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        seqbench.train(compose([*TINY, "trainer.max_steps=2", "trainer.eval_every=1", "logger=none"]))
    return folder / "runs"


@pytest.fixture
def trained(_trained):
    """The folder of a trained run, in a copy of its own."""
    shutil.copytree(_trained, "runs")
    (folder,) = Path("runs").glob("*/*/seed-0")
    return folder


def test_a_run_is_opened_as_it_was_left():
    seqbench.train(
        compose([*TINY, "trainer.max_steps=2", "trainer.eval_every=1", "logger=none", "n_seeds=2"])
    )
    folder = next(Path("runs").glob("*/*/seed-1"))
    before = torch.get_rng_state()
    name, cfg, task, model = load_run(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert (name, cfg.seed, cfg.task.length, task.length) == (folder.parent.name, 1, 5, 5)
    best = torch.load(folder / "checkpoints" / "best.pt")
    assert list(best) == list(model.state_dict())
    assert all(torch.equal(best[key], part) for key, part in model.state_dict().items())


def test_a_run_in_double_precision_is_opened_in_it():
    double = ["trainer.precision=64-true", "trainer.max_steps=2", "trainer.eval_every=1", "logger=none"]
    seqbench.train(compose([*TINY, *double]))
    (folder,) = Path("runs").glob("*/*/seed-0")
    run, best = load_run(folder), torch.load(folder / "checkpoints" / "best.pt")
    assert best["readout.weight"].dtype == torch.float64
    assert all(torch.equal(best[key], part) for key, part in run.model.state_dict().items())
    (found,) = run.predict([[[1.0]] * 5])
    outputs, _ = run.model(torch.ones(1, 5, 1, dtype=torch.float64))
    assert torch.equal(found, run.task.targets.probabilities(outputs)[0].detach())


def test_what_is_not_as_the_run_left_it_is_refused(trained):
    best = trained / "checkpoints" / "best.pt"
    content = best.read_bytes()
    best.write_bytes(content[:-200] + bytes([content[-200] ^ 4]) + content[-199:])
    with pytest.raises(DamagedFileError, match=r"best.pt is damaged: it is not what the run wrote"):
        load_run(trained)
    best.unlink()
    with pytest.raises(StoreError, match=r"is not the folder of a trained run: .*best.pt is missing"):
        load_run(trained)
    (trained / "result.json").unlink()
    with pytest.raises(StoreError, match=r"it has no result.json, so that the run has not ended; the same "):
        load_run(trained)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda weights: weights | {"other": torch.zeros(1)}, "other is in one of them alone"),
        (lambda weights: {}, "is in one of them alone"),
        (lambda weights: dict.fromkeys(weights, torch.zeros(2)), r"has the shape \(2,\) and not"),
        (lambda weights: {k: v.long() for k, v in weights.items()}, r"has the type torch.int64 and not"),
        (lambda weights: [1, 2], "torch cannot read it|is no set of weights"),
    ],
)
def test_weights_that_do_not_fit_are_refused(trained, change, reason):
    best = trained / "checkpoints" / "best.pt"
    torch.save(change(torch.load(best)), best)
    write_result(trained, read_result(trained))  # as if the run had written them
    with pytest.raises(DamagedFileError, match=reason):
        load_run(trained)
    assert trained.exists()


def test_what_lies_beside_the_result_decides_nothing(trained):
    """The configuration is that of the result; a `config.yaml` of another content is not read."""
    (trained / "config.yaml").write_text("model:\n  _target_: os.system\n  command: touch ran\n")
    assert load_run(trained).cfg.model.hidden_size == 3
    assert not Path("ran").exists()


def test_a_run_without_weights_is_refused(trained):
    (trained / "checkpoints" / "best.pt").unlink()
    result = read_result(trained)
    result.status = "failed"
    write_result(trained, result)
    with pytest.raises(StoreError, match=r"has no weights: the run has the status failed\.$"):
        load_run(trained)


@pytest.mark.usefixtures("dictionary")
def test_other_data_are_refused():
    overrides = ["task=g2p", "model=seq2seq", "model.hidden_size=3", "batch_size=4", "trainer.max_steps=1"]
    seqbench.train(compose([*overrides, "logger=none"]))
    (folder,) = Path("runs").glob("*/*/seed-0")
    assert load_run(folder).task.length > 0
    path = Path("data/cmudict/train.parquet")
    pq.write_table(pq.read_table(path)[: 2 * len(pq.read_table(path)) // 3], path)
    with pytest.raises(
        StoreError, match=r"was trained with other data than those that the task reads now\.$"
    ):
        load_run(folder)
    again = seqbench.train(compose([*overrides, "logger=none"]))
    assert again[0].hash != folder.parent.name.rpartition("-")[2] and again[0].data is not None


def test_a_model_is_loaded_to_be_used(trained):
    model = seqbench.load_model(str(trained))
    best = torch.load(trained / "checkpoints" / "best.pt", weights_only=True)
    assert not model.training and all(
        torch.equal(best[key], part) for key, part in model.state_dict().items()
    )
    inputs = torch.randn(3, 5, 1)
    outputs, _ = model(inputs)
    run = seqbench.load_run(trained)
    assert run.model.training, "a run is opened as it was left"
    probabilities = torch.stack(run.predict(list(inputs)))
    assert torch.equal(probabilities, outputs.softmax(-1)) and run.model.training
    assert run.answer(list(inputs)) == [str(class_) for class_ in outputs.argmax(-1).tolist()]


def test_sequences_of_other_lengths_are_predicted_as_if_each_were_alone(trained):
    run = seqbench.load_run(trained)
    one, two = [1.0, 1.0, 1.0, 0.5, 0.1, 0.2, 0.3], [-1.0, -1.0, -1.0, 0.5]
    together = run.predict([one, two])
    torch.testing.assert_close(together, [*run.predict([one]), *run.predict([two])])


def test_outputs_of_steps_end_with_their_sequence():
    seqbench.train(compose(["task=embedded_reber", *TINY[2:], "trainer.max_steps=1", "logger=none"]))
    run = seqbench.load_run(next(Path("runs").glob("*/*/seed-0")))
    long, short = run.predict(["B T B P V", "B T"])
    assert (long.shape, short.shape) == ((5, 7), (2, 7))
    torch.testing.assert_close(long[:2], short)
    assert {*run.answer(["B T"])[0].split()} <= {*"BTPSXVE"}


def test_an_answer_ends_where_its_model_says_so():
    overrides = [
        "task=reverse",
        "task.length=3",
        "task.eval_lengths=[3]",
        "task.eval_size=4",
        "model=seq2seq",
    ]
    seqbench.train(compose([*overrides, *TINY[4:], "trainer.max_steps=1", "logger=none"]))
    run = seqbench.load_run(next(Path("runs").glob("*/*/seed-0")))
    (outputs,) = run.predict(["3 0 7"])
    assert outputs.shape == (4, 9)
    likeliest = outputs.argmax(-1).tolist()
    said = likeliest[: likeliest.index(8)] if 8 in likeliest else likeliest
    assert run.answer(["3 0 7"]) == [" ".join(map(str, said))]


def test_a_folder_of_anything_else_is_refused(trained):
    for folder, reason in (
        (Path("runs/nothing"), r"^runs/nothing is not the folder of a trained run: it is not there\.$"),
        (trained / "result.json", r"result.json is not the folder of a trained run: it is a file\.$"),
        (Path("runs"), r"it has no result.json; give that of a seed, such as runs/latch/rnn-.*/seed-0\.$"),
        (trained.parent, r"give that of a seed, such as runs/latch/rnn-.*/seed-0\.$"),
    ):
        with pytest.raises(StoreError, match=reason):
            seqbench.load_model(folder)
    text = (trained / "result.json").read_text()
    (trained / "result.json").write_text(text.replace('"schema": 3', '"schema": 2'))
    with pytest.raises(StoreError, match="was stored under schema 2, and this version of seqbench reads 3"):
        seqbench.load_model(trained)


def test_weights_of_another_configuration_are_refused(trained):
    wider = ["model.hidden_size=4", "trainer.max_steps=2", "trainer.eval_every=1", "logger=none"]
    seqbench.train(compose([*TINY, *wider]))
    (other,) = (folder for folder in Path("runs").glob("*/*/seed-0") if folder != trained)
    shutil.copy(other / "checkpoints" / "best.pt", trained / "checkpoints")
    with pytest.raises(DamagedFileError, match=r"best.pt is damaged: it is not what the run wrote\.$"):
        seqbench.load_model(trained)
    shutil.copy(other / "result.json", trained)
    with pytest.raises(StoreError, match="and lies in another folder"):
        seqbench.load_model(trained)
