"""A run is of its configuration: it takes nothing from the environment or from files that lie around."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import lightning as L
import pytest
from lightning.pytorch.utilities import rank_zero_only

import seqbench
from seqbench.runs.plan import plan
from tests.runs.test_schedule import numbers

TINY = ["task=temporal_order", "task.length=10", "task.eval_size=20", "model=gru", "model.hidden_size=4"]
TINY += ["batch_size=4", "trainer.max_steps=6", "trainer.eval_every=3", "trainer.stop_when_solved=false"]

SBATCH = {
    **{"SLURM_JOB_ID": "4242", "SLURM_JOBID": "4242", "SLURM_JOB_NAME": "run.sh", "SLURM_NNODES": "1"},
    **{
        "SLURM_JOB_NODELIST": "node1",
        "SLURM_NODELIST": "node1",
        "SLURM_SUBMIT_DIR": "/",
        "SLURM_NODEID": "0",
    },
    **{"SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
}
ENVIRONMENTS = {
    "sbatch --ntasks=4": SBATCH,
    "sbatch --ntasks-per-node=2": SBATCH | {"SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "2"},
    "srun -n2, second task": SBATCH | {"SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"},
    "an array": SBATCH | {"SLURM_ARRAY_JOB_ID": "4241", "SLURM_ARRAY_TASK_ID": "x"},
    "RANK=1 WORLD_SIZE=1": {"RANK": "1", "WORLD_SIZE": "1"},
    "LOCAL_RANK=1": {"LOCAL_RANK": "1"},
    "NODE_RANK": {"NODE_RANK": "3", "GROUP_RANK": "3"},
    "no numbers": {
        **{"RANK": "abc", "LOCAL_RANK": "", "WORLD_SIZE": "x", "NODE_RANK": "first", "MASTER_PORT": "port"},
        **{"SLURM_PROCID": "no", "SLURM_NTASKS": "many", "SLURM_JOB_ID": "?", "SLURM_LOCALID": ""},
    },
    "torchelastic": {
        **{"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True", "RANK": "1"},
        **{"LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": "1"},
    },
    "Kubeflow": {
        **{"KUBERNETES_PORT": "tcp://10.0.0.1:443", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456"},
        **{"WORLD_SIZE": "4", "RANK": "2"},
    },
    "MPI": {
        **{"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
        **{"PMI_RANK": "1", "PMI_SIZE": "2", "PMIX_RANK": "1", "MPI_LOCALRANKID": "1"},
    },
    "LSF": {
        **{
            "LSB_JOBID": "7",
            "LSB_DJOB_RANKFILE": "/nowhere",
            "LSB_HOSTS": "batch a b",
            "JSM_NAMESPACE_SIZE": "2",
        },
        **{"JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_LOCAL_RANK": "1"},
    },
    "Lightning's own": {
        **{"PL_TRAINER_MAX_STEPS": "1", "PL_TRAINER_FAST_DEV_RUN": "1", "PL_TRAINER_MIN_EPOCHS": "9"},
        **{"PL_TRAINER_LIMIT_VAL_BATCHES": "0", "PL_TRAINER_DEVICES": "3", "PL_TRAINER_BAREBONES": "1"},
        **{"PL_TRAINER_DEFAULT_ROOT_DIR": ".", "PL_GLOBAL_SEED": "7", "LIGHTNING_CLOUD_URL": "x"},
    },
}


class Saver(L.Callback):
    """Writes a checkpoint of Lightning's, as its requeueing on Slurm does."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.save_checkpoint("hpc_ckpt_1.ckpt")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The numbers of the run where nothing is set and nothing lies around."""
    (result,) = train(f"runs_dir={tmp_path_factory.mktemp('undisturbed')}", "logger=none")
    assert result.status == "finished" and result.steps == 6
    return numbers(result)


def train(*overrides: str, **more: object) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose([*TINY, *overrides]), **more)


@pytest.mark.parametrize("variables", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_one_device_trains_and_writes_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, object], variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # as Lightning has it if it was imported so
    (result,) = train("logger=csv")
    assert numbers(result) == undisturbed | {"config": numbers(result)["config"]}
    (folder,) = Path("runs").glob("*/*/seed-0")
    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "metrics.csv", "result.json", "checkpoints"),
    }
    (logged,) = Path("runs/csv").glob("*/*/seed-0/metrics.csv")
    assert len(logged.read_text().splitlines()) >= 1 + 2, "the logger has both evaluations"
    assert [path.name for path in Path().iterdir()] == ["runs"]
    assert os.environ.items() >= variables.items()


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables", [{}, SBATCH, SBATCH | {"SLURM_NTASKS": "1"}], ids=["-", "sbatch", "srun"]
)
def test_no_file_but_the_runs_own_is_taken_in(
    monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, object], variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    train("runs_dir=other", "optim.lr=0.5", "logger=none", callbacks=[Saver()])
    stray = Path("hpc_ckpt_1.ckpt").read_bytes()
    own = plan(seqbench.compose(TINY)).folder(0)
    names = [
        "hpc_ckpt_1.ckpt",
        "hpc_ckpt_2.ckpt",
        "last.ckpt",
        "lightning_logs/version_0/checkpoints/last.ckpt",
    ]
    for place in (Path(), Path("runs"), own, own / "checkpoints"):
        for name in names:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(stray)
    before = {path for path in Path().rglob("*") if "runs" not in path.parts}
    (result,) = train("logger=none")
    assert numbers(result) == undisturbed
    assert {path for path in Path().rglob("*") if "runs" not in path.parts} == before


@pytest.mark.slow
def test_a_command_starts_and_two_devices_are_two_processes_in_any_environment() -> None:
    odd = {"RANK": "abc", "LOCAL_RANK": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "1"}
    odd |= {"WORLD_SIZE": "2", "MASTER_ADDR": "10.255.255.1", "MASTER_PORT": "port", "NODE_RANK": "1"}
    clean = {name: value for name, value in os.environ.items() if name not in odd}
    torchrun = [str(Path(sys.executable).with_name("torchrun")), "--nproc-per-node=2", "-m", "seqbench"]
    commands = {
        "one": ([sys.executable, "-m", "seqbench"], ["trainer.devices=1"], clean | odd),
        "two": ([sys.executable, "-m", "seqbench"], ["trainer.devices=2", "n_seeds=2"], clean | odd),
        "torchrun": (torchrun, ["trainer.devices=2"], clean),
        "each": (torchrun, ["trainer.devices=1"], clean),  # two processes that were not asked for
    }
    losses = {}
    for name, (program, more, environment) in commands.items():
        said = subprocess.run(
            [*program, *TINY, *more, "trainer.accelerator=cpu", "logger=none", f"runs_dir={name}"],
            **{"env": environment, "capture_output": True, "text": True, "timeout": 120},
        )
        assert said.returncode == 0 and "Traceback" not in said.stderr, said.stderr
        results = seqbench.load_results(name)
        losses[name] = results["test.10.loss"][0]
        assert len(results) == (2 if name == "two" else 1)
        assert results["device"][0].startswith("2 × ") == (name in ("two", "torchrun"))
    assert losses["each"] == losses["one"]
    assert losses["two"] == losses["torchrun"] == pytest.approx(losses["one"], rel=1e-5)
