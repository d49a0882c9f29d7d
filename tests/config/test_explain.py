"""Explaining: a key that is none is told with the one that was meant, of this configuration first."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqbench.config.compose import compose
from seqbench.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["trainer.dtype=x"], "There is no key 'trainer.dtype' here. trainer has max_steps, "),
        (["trainer.lr=0.01"], "There is no key 'trainer.lr' here. Did you mean 'optim.lr'?"),
        (["lr=0.01"], "There is no key 'lr' here. Did you mean 'optim.lr'?"),
        (
            ["model.cel.chrono=3"],
            "There is no key 'model.cel.chrono' here. Did you mean 'model.cell.chrono'?",
        ),
        (
            ["model=transformer", "model.cell.num_heads=4"],  # trainer.num_threads is more alike
            "There is no key 'model.cell.num_heads' here. Did you mean 'model.cell.heads'?",
        ),
        (
            ["model=transformer", "model.cell.quux=4"],
            "There is no key 'model.cell.quux' here. model.cell has heads, context, positions. `seqbench",
        ),
        (["model=leaky_rnn", "alph=1"], "There is no key 'alph' here. Did you mean 'model.cell.alpha'?"),
        (
            ["~hydra.launcher.n_jobs"],
            "hydra.launcher.n_jobs is null already; leave ~hydra.launcher.n_jobs out.",
        ),
        (["model=./lstm"], "model=./lstm is not how a preset is named: model=lstm."),
        (["model=/mine//lstm"], "model=/mine//lstm is not how a preset is named: model=mine/lstm."),
        (["model=lstm/"], "model=lstm/ is not how a preset is named: model=lstm."),
        (
            ["model=readout/deep"],
            "model=readout/deep is a preset of a part: model/readout=deep beside model=….",
        ),
        (["model=lstm/x"], "There is no preset 'lstm/x' in model. Did you mean 'lstm'? There are: "),
        (
            ["hydra.launcher.jobs_at_once=3"],
            "There is no key 'hydra.launcher.jobs_at_once' here. hydra.launcher has n_jobs, gpus_per_job, ",
        ),
        (
            ["hydra/launcher=slurm", "hydra.launcher.partitoin=x"],
            "There is no key 'hydra.launcher.partitoin' here. Did you mean 'hydra.launcher.partition'? "
            "`seqbench --cfg hydra hydra/launcher=slurm` shows",
        ),
        (["+foo=1"], "There is no key 'foo' here. `seqbench --cfg job` shows all there are."),
        (["~nope"], "There is no key 'nope' here. `seqbench --cfg job` shows all there are."),
        (["search=gru"], "search goes with `seqbench search …`."),
        (["+search=gru"], "search goes with `seqbench search …`."),
        (
            ["n_trials=3"],
            "There is no key 'n_trials' here. Did you mean 'search.n_trials', of `seqbench search …`?",
        ),
        (["search.n_trials=3"], "search.n_trials goes with `seqbench search …`."),
        (["seed.x=1"], "There is no key 'seed.x' here."),
        (
            ["model=rnn", "model.cell.chrono=3"],
            "There is no key 'model.cell.chrono' here. model=gru, model=gru_chrono, model=lstm … would",
        ),
        (
            ["logger=none", "logger.wandb.project=x"],
            "There is no key 'logger.wandb.project' here. logger=wandb would have it.",
        ),
        (["+task.length=5"], "task.length has a value already; set it without +: task.length=…."),
        (["~logger.wandb.entity"], "logger.wandb.entity is null already; leave ~logger.wandb.entity out."),
        (["~seed", "seed=3"], "seed is set too; leave ~seed out."),
        (["task.length=${nope}"], "task.length=${nope}: there is no key 'nope' to refer to."),
        (
            ["runs_dir=${oc.env:NOPE}"],
            "runs_dir=${oc.env:NOPE}: Environment variable 'NOPE' not found.",
        ),
        (["runs_dir=null"], "runs_dir=null must name a folder, such as runs_dir=runs."),
        (["data_dir="], "data_dir= must name a folder, such as data_dir=data."),
        (
            ["trainer.lightning={profiler:simple}"],
            "trainer.lightning is empty, and a key is added to it with a +: +trainer.lightning.name=value.",
        ),
        (["trainer.lightning.profiler=simple"], "trainer.lightning is empty, and a key is added to it with"),
        (["~task"], "task is empty; choose a preset with task=… (seqbench ls tasks)."),
    ],
)
def test_what_is_wrong_is_one_sentence(overrides, sentence):
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_a_key_that_a_preset_leaves_to_its_class_is_added():
    folder = Path("presets/task")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("_target_: seqbench.tasks.synthetic.latch.Latch\n")
    with pytest.raises(ConfigError) as caught:
        compose(["task=mine", "task.length=5"])
    assert (
        str(caught.value)
        == "There is no key 'task.length' here, but Latch takes it; add it with a +: +task.length=…."
    )
    assert compose(["task=mine", "+task.length=5"]).task.length == 5


def test_a_preset_in_a_folder_is_named_whole():
    folder = Path("presets/model/mine")
    folder.mkdir(parents=True)
    (folder / "lstm.yaml").write_text("defaults: [lstm, _self_]\n")
    for name, near in (("mine/lstn", "mine/lstm"), ("mine", "mine/lstm")):
        with pytest.raises(ConfigError) as caught:
            compose([f"model={name}"])
        sentence = (
            f"There is no preset '{name}' in model. Did you mean '{near}'? There are: antisymmetric_rnn"
        )
        assert str(caught.value).startswith(sentence)


def test_a_preset_that_lists_what_another_lists_already():
    folder = Path("presets/model")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("defaults: [_sequence, lstm, _self_]\n")
    with pytest.raises(ConfigError) as caught:
        compose(["model=mine"])
    assert str(caught.value).startswith(
        "model/readout is chosen twice: a preset that builds on another lists"
    )


def test_keys_that_are_deleted_have_their_defaults():
    cfg = compose(
        ["~seed", "~n_seeds", "~runs_dir", "~data_dir", "~batch_size", "~allowed_packages", "~logger"]
    )
    assert (cfg.seed, cfg.n_seeds, cfg.batch_size, cfg.runs_dir, cfg.data_dir) == (0, 1, 64, "runs", "data")
    assert cfg.logger == {} and cfg.allowed_packages == []
