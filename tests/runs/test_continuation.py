"""More steps go on from the run of fewer steps, bit for bit, or start at step 0 and say why."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import seqbench
from seqbench.runs import devices
from tests.runs.test_schedule import TINY, numbers, train

#: A run of four evaluations, not solved before its end.
RUN = [*TINY, "model=gru", "trainer.eval_every=20", "logger=none", "trainer.stop_when_solved=false"]
LONG = [*RUN, "trainer.max_steps=80"]


def rows(runs_dir: str, seed: int = 0) -> list[dict[str, str]]:
    """Return the evaluations of the longest run in a folder."""
    found = []
    for path in Path(runs_dir).glob(f"*/*/seed-{seed}/metrics.csv"):
        with path.open() as file:
            found.append([{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)])
    return max(found, key=len)


def without_origin(result: seqbench.Result) -> dict[str, object]:
    return {name: value for name, value in numbers(result).items() if name != "continued_from"}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, seqbench.Result]:
    """A folder with a run of 40 steps."""
    folder = tmp_path_factory.mktemp("short")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (result,) = train(*RUN, "trainer.max_steps=40")
    return folder, result


def test_twice_the_steps_are_what_one_go_gives(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = [*RUN, "n_seeds=2", "trainer.seeds_together=false"]
    train(*seeds, "trainer.max_steps=40")
    capsys.readouterr()
    on = train(*seeds, "trainer.max_steps=80")
    assert "seed-0 goes on from step 40 of gru-" in capsys.readouterr().err
    whole = train(*seeds, "trainer.max_steps=80", "runs_dir=whole")
    assert [without_origin(a) for a in on] == [without_origin(b) for b in whole]
    assert all(rows("runs", seed) == rows("whole", seed) and len(rows("whole", seed)) == 4 for seed in (0, 1))
    first = {result.hash for result in seqbench.runs.store.read_results(Path("runs").glob("*/*"))}
    assert {f"gru-{h}" for h in first - {on[0].hash}} == {on[0].continued_from}
    assert whole[0].continued_from is None
    # And once more, from the longer of the two.
    (further,) = train(*RUN, "trainer.max_steps=100", "trainer.seeds_together=false")
    assert further.continued_from == f"gru-{on[0].hash}" and further.steps == 100


def test_fewer_steps_are_a_run_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    train(*LONG)
    (result,) = train(*RUN, "trainer.max_steps=40")
    assert result.continued_from is None and result.steps == 40


@pytest.mark.parametrize(
    ("steps", "overrides", "because"),
    [
        (40, ["optim.schedule=linear"], "the learning rate follows a schedule over all steps"),
        (30, [], "that one ended between two evaluations"),
        (400, ["trainer.patience=1", "optim.lr=10"], "that one ended early"),
        (40, ["model=irnn", "optim.lr=1e6", "optim.clip_norm=null"], "that one ended early"),
        (
            40,
            ["model.feedback=true", "task=copy_memory", "trainer.teacher_forcing=[1.0,0.5]"],
            "the rate of teacher forcing changes over all steps",
        ),
    ],
)
def test_what_cannot_go_on_starts_at_step_0_and_says_why(
    steps: int, overrides: list[str], because: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train(*RUN, *overrides, f"trainer.max_steps={steps}")
    capsys.readouterr()
    longer = [*RUN, *overrides, f"trainer.max_steps={steps + 20}"]
    (result,) = train(*longer)
    err = capsys.readouterr().err
    assert "starts at step 0 and not from " in err and f"because {because}." in err
    assert result.continued_from is None
    (whole,) = train(*longer, "runs_dir=whole")
    assert numbers(result) == numbers(whole)


def copied(short: tuple[Path, seqbench.Result]) -> Path:
    """Copy the run of 40 steps into the working directory; return its folder."""
    import shutil

    shutil.copytree(short[0] / "runs", "runs")
    return next(Path("runs").glob("*/*/seed-0"))


@pytest.mark.slow
def test_another_device_rounds_otherwise(
    short: tuple[Path, seqbench.Result],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copied(short)
    monkeypatch.setattr(devices, "processor", lambda: "another")
    (result,) = train(*LONG)
    assert "because other code or another machine made that one." in capsys.readouterr().err
    assert result.continued_from is None and result.steps == 80


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["model.engine=loop", "trainer.num_threads=2"])
def test_with_another_engine_or_number_of_threads_it_is_another_run(
    changed: str, short: tuple[Path, seqbench.Result], capsys: pytest.CaptureFixture[str]
) -> None:
    copied(short)
    (result,) = train(*LONG, changed)
    assert "goes on from" not in capsys.readouterr().err
    assert result.continued_from is None and result.steps == 80


@pytest.mark.parametrize("damage", ["bit", "gone", "foreign", "code"])
def test_only_an_intact_checkpoint_of_the_same_code_is_taken(
    damage: str,
    short: tuple[Path, seqbench.Result],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = copied(short) / "checkpoints" / "last.pt"
    content = last.read_bytes()
    if damage == "bit":
        last.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
        because = "its last checkpoint cannot be used: runs/"
    elif damage == "gone":
        last.unlink()
        because = "it kept no last checkpoint"
    elif damage == "foreign":
        train(*RUN, "trainer.max_steps=40", "optim.lr=0.1", "runs_dir=other")
        last.write_bytes(next(Path("other").glob("*/*/*/checkpoints/last.pt")).read_bytes())
        because = "its last checkpoint cannot be used: runs/"
    else:
        monkeypatch.setattr(devices, "commit", lambda: "0" * 40)
        devices.made_with.cache_clear()
        because = "other code or another machine made that one."
    capsys.readouterr()
    (result,) = train(*LONG)
    devices.made_with.cache_clear()
    assert f"and not from {short[1].model}-{short[1].hash}, because {because}" in capsys.readouterr().err
    assert result.continued_from is None and result.steps == 80


def test_columns_that_are_new_in_a_continuation_have_a_place_of_their_own() -> None:
    train(*RUN, "trainer.max_steps=40")
    train(*LONG, "trainer.log_spectrum=true")
    found = rows("runs")
    assert len(found) == 4 and all(len(row) == len(found[0]) for row in found)
    assert [row["spectral_radius"] == "" for row in found] == [True, True, False, False]
    assert [float(row["lr"]) for row in found] == [0.003] * 4


def test_a_run_ends_when_it_has_waited_long_enough() -> None:
    (result,) = train(*RUN, "trainer.max_steps=400", "trainer.patience=2", "optim.lr=10")
    found = rows("runs")
    best = max(range(len(found)), key=lambda i: (float(found[i]["accuracy"]), -float(found[i]["loss"])))
    assert result.status == "finished" and len(found) == best + 3 and result.steps == 20 * len(found) < 400
