"""The command line: what it prints, and what it says to bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seqbench.config.presets import preset_names
from tests.cli.conftest import Said

TINY = ["task=latch", "task.length=6", "model.hidden_size=4", "trainer.max_steps=4", "trainer.eval_every=2"]
QUICK = [*TINY, "task.eval_size=20", "batch_size=4", "logger=none"]


def results(folder: str = "runs") -> list[Path]:
    return sorted(Path(folder).glob("*/*/*/result.json"))


def test_a_run_leaves_what_the_design_says_and_prints_its_table(seqbench: Callable[..., Said]) -> None:
    said = seqbench(*QUICK, "n_seeds=2")
    assert said.code == 0, said.err
    folders = [path.parent for path in results()]
    assert [folder.name for folder in folders] == ["seed-0", "seed-1"]
    assert folders[0].parts[-3:-1][0] == "latch" and folders[0].parts[-2].startswith("lstm-")
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == {
            "config.yaml",
            "metrics.csv",
            "result.json",
            "checkpoints",
        }
    assert "0/2" in said.out and "accuracy" in said.out


def test_a_run_that_is_done_is_read(seqbench: Callable[..., Said]) -> None:
    seqbench(*QUICK)
    (path,) = results()
    before = path.stat().st_mtime_ns
    said = seqbench(*QUICK, "trainer.checkpoint_every=7", "runs_dir=./runs", "trainer.seeds_together=false")
    assert "(was done)" in said.out and said.code == 0
    assert path.stat().st_mtime_ns == before and len(results()) == 1


@pytest.mark.slow
def test_jobs_of_a_sweep_leak_nothing_into_one_another(seqbench: Callable[..., Said]) -> None:
    sweep = seqbench("-m", *QUICK, "model=rnn,gru", "optim.lr=0.01,0.003", "runs_dir=together")
    assert sweep.code == 0, sweep.err
    for model in ("gru", "rnn"):
        for lr in ("0.003", "0.01"):
            seqbench(*QUICK, f"model={model}", f"optim.lr={lr}", "runs_dir=alone")
    assert len(results("together")) == 4
    for path in results("together"):
        alone = Path("alone") / path.relative_to("together")
        ours, theirs = (json.loads(p.read_text()) for p in (path, alone))
        assert ours["test"] == theirs["test"] and ours["validation"] == theirs["validation"]
    assert "lr=0.003" in sweep.out


def test_the_sweep_of_an_experiment_is_narrowed_by_what_is_typed(seqbench: Callable[..., Said]) -> None:
    small = ["trainer.max_steps=2", "trainer.eval_every=2", "task.eval_size=20", "logger=none", "n_seeds=1"]
    said = seqbench("-m", "experiment=quickstart", "task.length=10,12", "model=gru", *small)
    assert said.code == 0 and "2 jobs" in said.out
    lengths = {json.loads(path.read_text())["config"]["task"]["length"] for path in results()}
    assert lengths == {10, 12} and len(results()) == 2
    assert "length=10: 0/1 solved, test accuracy" in said.out and "length=12: " in said.out


@pytest.mark.parametrize(
    "experiment",
    [
        name if name == "quickstart" else pytest.param(name, marks=pytest.mark.slow)
        for name in preset_names("experiment")
    ],
)
@pytest.mark.usefixtures("dictionary", "treebank", "tagged", "series")
def test_every_experiment_takes_two_steps(seqbench: Callable[..., Said], experiment: str) -> None:
    small = ["trainer.max_steps=2", "trainer.eval_every=2", "logger=none", "n_seeds=1"]
    # Real data have a fixed size; one waveform is one sequence.
    if experiment not in ("g2p", "sum_of_sines", "ptb_char", "ptb_word", "brown_tagging", "ucr"):
        small.append("task.eval_size=4")
    if experiment == "ptb_word":  # the text here is short, and the rate falls after two of its epochs
        small += ["task.length=2", "task.validation_streams=4", "optim.schedule=constant"]
        small += ["optim.decay=null", "optim.decay_after=null"]
    if experiment == "brown_tagging":  # so few words need no such size
        small.append("model.param_budget=5000")
    if experiment.startswith("echo_state"):  # 1,000 units take seconds
        small.append("model.hidden_size=20")
    small.append("trainer.stop_when_solved=false")  # an echo state network may solve its task after one step
    assert seqbench(f"experiment={experiment}", *small).code == 0
    (path,) = results()
    assert json.loads(path.read_text())["steps"] == 2


def test_presets_of_one_command(seqbench: Callable[..., Said]) -> None:
    folder = Path("elsewhere/model")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("defaults: [gru, _self_]\nhidden_size: 3\n")
    small = [arg for arg in QUICK if "hidden_size" not in arg]
    there = ["--config-dir", "elsewhere"]
    assert seqbench(*there, *small, "model=mine").code == 0
    assert list(Path("runs/latch").glob("mine-*/seed-0/result.json"))
    assert "mine" in seqbench("ls", "models", *there).out
    assert "hidden_size: 3" in seqbench("task=latch", "--cfg", "job", *there, "model=mine").out
    for command in (["show"], ["span", "--dry-run"], ["-m", "--dry-run"], ["--dry-run"]):
        assert seqbench(*command, "task=latch", *there, "model=mine").code == 0


def test_options_may_stand_anywhere(seqbench: Callable[..., Said]) -> None:
    said = seqbench("task=latch", "--dry-run", "model=gru,rnn", "-m", "task.length=5")
    assert said.code == 0 and "2 jobs, at most" in said.out


def test_a_sweep_goes_on_after_a_bad_job(seqbench: Callable[..., Said]) -> None:
    said = seqbench("-m", *QUICK, "task.length=6,3,7")
    assert said.code == 2
    assert "and task.length=3." in said.err
    assert len(results()) == 2


def test_a_run_that_raises_is_on_record_and_tried_again(
    seqbench: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqbench.models.cells.gru import GRU

    with monkeypatch.context() as broken:
        broken.setattr(GRU, "native", lambda *_: 1 / 0)
        said = seqbench("-m", "hydra/launcher=basic", *QUICK, "model=gru,rnn", "model.engine=native")
    assert said.code == 1
    assert "failed: ZeroDivisionError" in said.out
    status = {path.parts[-3].split("-")[0]: json.loads(path.read_text())["status"] for path in results()}
    assert status == {"gru": "failed", "rnn": "finished"}
    again = seqbench("-m", *QUICK, "model=gru,rnn", "model.engine=native")
    assert again.code == 0 and "1 of 2 jobs had been done.\ngru: " in again.out


def test_a_run_without_memory_is_a_failed_run_and_one_sentence(
    seqbench: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seqbench.models.cells.gru import GRU
    from seqbench.tasks.synthetic.latch import Latch

    def allocate(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000 bytes.")

    sentence = (
        "not enough memory; give a smaller batch_size, task.length or model.hidden_size, or train seeds"
    )
    with monkeypatch.context() as broken:
        broken.setattr(GRU, "native", allocate)
        said = seqbench(*QUICK, "model=gru", "model.engine=native")
    assert said.code == 1 and f"failed: {sentence}" in said.out and said.err == ""
    monkeypatch.setattr(Latch, "prepare", allocate)
    said = seqbench(*QUICK, "model=rnn")
    assert said.code == 1 and said.err.startswith(f"seqbench: {sentence}") and said.err.count("\n") == 1


def test_a_loss_that_is_not_a_number_ends_the_run_as_diverged(seqbench: Callable[..., Said]) -> None:
    said = seqbench(
        *["task=adding", "task.length=6", "task.eval_size=20", "model=irnn", "optim=sgd", "optim.lr=1e30"],
        *["optim.clip_norm=null", "logger=none", "trainer.eval_every=5", "trainer.max_steps=100"],
    )
    assert said.code == 0
    result = json.loads(results()[0].read_text())
    assert result["status"] == "diverged" and result["steps"] == 5 and result["test"] == {}
    assert "1 diverged" in said.out


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["task=addin"], "There is no preset 'addin' in task. Did you mean 'adding'?"),
        (["-m", "model=lstm,gruu"], "There is no preset 'gruu' in model. Did you mean 'gru'?"),
        (["experiment=quick"], "There is no preset 'quick' in experiment. Did you mean 'quickstart'?"),
        (["lr=0.01"], "There is no key 'lr' here. Did you mean 'optim.lr'?"),
        (["optim.optimizer.betas=[0.9]"], "optim.optimizer.betas=[0.9] must be a list of 2 numbers, such as"),
        (["model.param_budget=10k"], "model.param_budget=10k must be a whole number, at least 1."),
        (["model/readout=ridge", "model.readout.ridge=-1"], "model.readout.ridge=-1.0 must be 0 or more."),
        (["task=adding,"], "'task=adding,' cannot be read: a value is missing beside a comma."),
        (["+experiment=quickstart"], "A preset is chosen without +: experiment=quickstart."),
        (["runs_dir="], "runs_dir= must name a folder, such as runs_dir=runs."),
        (["-m", "runs_dir=null"], "runs_dir=null must name a folder, such as runs_dir=runs."),
        (["~optim.lr"], "optim.lr has no value, and OptimizerConfig needs one."),
        (["~model.cell"], "model.cell has no value, and SequenceModel needs one."),
        (["task.length=1e9"], "batch_size=64 and task.length=1000000000 make a batch of 512 GB, and "),
        (["task.lenght=5"], "There is no key 'task.lenght' here. Did you mean 'task.length'?"),
        (["model.cell.alpah=2"], "There is no key 'model.cell.alpah' here. Did you mean 'model.cell.alpha'?"),
        (["foo=1"], "There is no key 'foo' here."),
        (["+batchsize=1"], "There is no key 'batchsize' here. Did you mean 'batch_size'?"),
        (
            ["+model.num_layer=2"],
            "model.num_layer is unknown to seqbench.models.sequence.SequenceModel. Did you mean",
        ),
        (["task=latch", "task"], "'task' cannot be read: an argument reads key=value."),
        (["reprot"], "There is no command 'reprot'. Did you mean 'report'?"),
        (["model=rnn,gru"], "Several values make a sweep: put -m first."),
        (
            ["optim.optimizer.momentum=1", "optim=momentum", "optim.optimizer.momentum=0"],
            "optim.optimizer.nesterov=true: Nesterov",
        ),
        (["+optim.optimizer.lr=7"], "optim.optimizer.lr would be ignored; set optim.lr."),
        (["+model.input_size=9"], "model.input_size is unknown to seqbench.models.sequence.SequenceModel."),
        (["+trainer.lightning.profiler={_target_:os.mkdir,path:here}"], "has a _target_ deep within"),
        (["trainer.precision=16-mixed"], "use bf16-mixed"),
        (["task=mnist_rows", "task.length=9"], "There is no key 'task.length' here."),
        (["-m", "seed=0,1", "runs_dir=/proc/nowhere"], "cannot write /proc/nowhere"),
        (
            ["model.hidden_size=1000000000000"],
            "model.hidden_size=1000000000000 is more than can be made; give at most 10000000.",
        ),
        (["task.length=1"], "task.length=1 is too short for this task; it needs at least 2 steps."),
        (["task.length=abc"], "task.length=abc must be a whole number."),
        (["task.variant=foo"], "task.variant=foo must be halves, anywhere or 1997."),
        (["optim.lr=-1"], "optim.lr=-1.0 must be above 0."),
        (["optim.clip_norm=0"], "optim.clip_norm=0.0 must be above 0; null does not clip."),
        (["trainer.max_steps=0"], "trainer.max_steps=0 must be at least 1."),
        (["trainer.devices=65"], "batch_size=64 is too small for trainer.devices=65, as each"),
        (["trainer.accelerator=abacus"], "trainer.accelerator=abacus is unknown; there are auto, cpu,"),
        (["-m", "hydra/launcher=basic", "trainer.devices=2"], "trainer.devices=2 does not go with this"),
        (["batch_size=0"], "batch_size=0 must be a whole number, at least 1."),
        (["seed=x"], "seed=x must be a whole number, at least 0."),
        (["model.hidden_size=0"], "model.hidden_size=0 leaves no unit; give at least 1."),
        (
            ["model.param_budget=7"],
            "model.param_budget=7 is out of reach of lstm on adding: the nearest are 18",
        ),
        (
            ["model.engine=fast"],
            "model.engine=fast must be auto, fused, native, scan or loop.",
        ),
        (
            ["model=leaky_rnn", "model.engine=native"],
            "engine=native: LeakyRNN has no such engine; it has auto, fused, loop.",
        ),
        (["model=leaky_rnn", "model.cell.alpha=2"], "model.cell.alpha=2.0 must lie in [0, 1]"),
        (["model._target_=os.system"], "model._target_=os.system is outside the packages allowed"),
        (["model._target_=seqbench.models.nope"], "model._target_=seqbench.models.nope cannot be found"),
        (["runs_dir=/proc/nowhere"], "cannot write in /proc/nowhere"),
        (["task=mnist_rows", "data_dir=none"], "run `seqbench data --get mnist --data-dir none`"),
        (["report", "nowhere"], "There is no folder of runs and no exported file nowhere."),
        (["ls", "modles"], "There is no group 'modles'."),
        (["data", "mnits"], "mnist"),
    ],
)
def test_bad_input_is_one_sentence(
    seqbench: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, args: list[str], sentence: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    quiet = [] if args[0] in ("report", "ls", "data") else ["logger=none"]
    said = seqbench(*args, *quiet)
    assert said.code == 2
    assert sentence in said.err
    assert said.err.startswith("seqbench: ") and len(said.err.strip().splitlines()) == 1
    assert not Path("runs").exists() or not list(Path("runs").glob("[!.]*"))


def test_a_model_that_cannot_take_the_task_is_told_before_it_trains(seqbench: Callable[..., Said]) -> None:
    said = seqbench("task=reverse", "model=gru", "logger=none")
    assert said.code == 2
    assert "The model gru takes sequence and story and tree tasks, and reverse is a two-sequence" in said.err
    assert said.err.strip().endswith("models that take it: seq2seq, seq2seq_attention.")
    assert not Path("runs").exists()


def test_a_damaged_result_is_told_and_the_run_trained_again(seqbench: Callable[..., Said]) -> None:
    seqbench(*QUICK)
    before = json.loads(results()[0].read_text())
    results()[0].write_text(results()[0].read_text().replace('"parameters": ', '"parameters": 1'))
    said = seqbench("report")
    assert said.code == 2 and "result.json is damaged: its checksum is another. It is left out." in said.err
    said = seqbench(*QUICK)
    assert (
        said.code == 0 and "It is moved to unusable-1-result.json, and the run is trained again" in said.err
    )
    after = json.loads(results()[0].read_text())
    assert after["test"] == before["test"] and after["parameters"] == before["parameters"]


def test_broken_presets_are_told(seqbench: Callable[..., Said]) -> None:
    for group in ("model", "experiment"):
        Path("presets", group).mkdir(parents=True)
    Path("presets/model/broken.yaml").write_text("cell: [1,\n")
    said = seqbench(*QUICK, "model=broken")
    assert said.code == 2 and "broken.yaml, line 2, is not YAML" in said.err
    Path("presets/experiment/mine.yaml").write_text("n_seeds: 2\n")
    said = seqbench(*QUICK, "experiment=mine")
    assert said.code == 2 and "'# @package _global_'" in said.err


def test_a_variant_that_reads_as_a_number(seqbench: Callable[..., Said]) -> None:
    small = ["trainer.max_steps=2", "task.eval_size=20", "logger=none"]
    assert seqbench("task=adding", "task.variant=1997", *small).code == 0
    assert json.loads(results()[0].read_text())["config"]["task"]["variant"] == "1997"


def test_values_that_mean_the_same_are_the_same_run(seqbench: Callable[..., Said]) -> None:
    seqbench(*QUICK)
    said = seqbench(*QUICK, "optim.clip_norm=1", "optim.weight_decay=0", "trainer.stop_when_solved=yes")
    assert "(was done)" in said.out and len(results()) == 1


def test_half_precision_by_autocast(seqbench: Callable[..., Said]) -> None:
    for model in ("leaky_rnn", "gru"):
        assert (
            seqbench(*QUICK, f"model={model}", "model.engine=loop", "trainer.precision=bf16-mixed").code == 0
        )


def test_a_damaged_checkpoint_is_told(seqbench: Callable[..., Said]) -> None:
    seqbench(*QUICK)
    before = json.loads(results()[0].read_text())
    folder = results()[0].parent
    (folder / "result.json").unlink()
    (folder / "checkpoints" / "last.pt").write_bytes(b"no checkpoint")
    said = seqbench(*QUICK)
    assert said.code == 0 and "last.pt is damaged" in said.err
    assert json.loads(results()[0].read_text())["test"] == before["test"]


def test_a_preset_may_leave_the_length_to_its_class(seqbench: Callable[..., Said]) -> None:
    Path("presets/task").mkdir(parents=True)
    Path("presets/task/mine.yaml").write_text("_target_: seqbench.tasks.synthetic.latch.Latch\n")
    said = seqbench("task=mine", "model=rnn", "trainer.max_steps=2", "trainer.eval_every=1", "logger=none")
    assert said.code == 0 and not said.err


def test_own_presets_add_to_the_built_in_ones_and_replace_them(seqbench: Callable[..., Said]) -> None:
    folder = Path("presets/model")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# My GRU.\ndefaults: [gru, _self_]\nhidden_size: 3\n")
    (folder / "rnn.yaml").write_text("# Another RNN.\ndefaults: [gru, _self_]\nhidden_size: 5\n")
    listed = seqbench("ls", "models").out
    assert "My GRU" in listed and "Another RNN" in listed and "Long short-term memory" in listed
    small = [arg for arg in QUICK if "hidden_size" not in arg]
    for model, width in (("mine", 3), ("rnn", 5)):
        assert seqbench(*small, f"model={model}").code == 0
        (path,) = Path("runs/latch").glob(f"{model}-*/seed-0/result.json")
        assert json.loads(path.read_text())["state_size"] == width


def test_numbers_and_folders_are_taken_however_they_are_written(
    seqbench: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path("home").absolute()
    monkeypatch.setenv("HOME", str(home))
    small = [arg for arg in QUICK if "batch_size" not in arg]
    said = seqbench(*small, "batch_size=0.4e1", "seed=1e0", "n_seeds=2.0", "runs_dir=~/mine", "~data_dir")
    assert said.code == 0, said.err
    found = [json.loads(path.read_text())["config"] for path in results(str(home / "mine"))]
    assert [(c["seed"], c["batch_size"], c["data_dir"]) for c in found] == [(1, 4, "data"), (2, 4, "data")]
    again = seqbench("-m", *QUICK, "seed=1,2", "runs_dir=~/mine")
    assert again.code == 0 and "2 of 2 jobs had been done." in again.out
    assert (home / "mine" / ".sweeps").is_dir()
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["home"]
