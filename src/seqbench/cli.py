"""The command line: `seqbench task=adding model=lstm`, `seqbench report`, `seqbench ls`, `seqbench data`."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.errors import ConfigError, RunFailed, SeqbenchError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from seqbench.results.store import Result
    from seqbench.training.run import Plan

HELP = """\
seqbench: which sequence model learns a dependency over how long a span, how surely, and at what cost?

Train
  seqbench task=adding model=lstm                          one run
  seqbench task=adding model=lstm n_seeds=5                five seeds of it
  seqbench -m model=rnn,lstm task.length=50,100 n_seeds=5  a sweep: every combination
  seqbench -m experiment=quickstart                        a sweep that comes with seqbench

  A run that has a result is read, not trained again; one that was stopped goes on where it was.

Look
  seqbench ls [GROUP …]              every task, model, experiment …, one line each
  seqbench report [RUNS_DIR] [--format table|md|latex|csv|json] [--out DIR]
  seqbench data [NAME …]             which real data are here, and how to get the rest

Keys that every run knows
  seed=0 n_seeds=1 batch_size=64 runs_dir=runs data_dir=data
  task.length=100 task.eval_lengths=[100,200]
  model.hidden_size=64 model.num_layers=1 model.param_budget=10000
  optim.lr=0.003 optim.clip_norm=1
  trainer.max_steps=2000 trainer.eval_every=100 trainer.stop_when_solved=true trainer.devices=1

Presets of your own lie in ./presets/<group>/<name>.yaml, in $SEQBENCH_PRESETS, or in --config-dir DIR.
More: --cfg job (the whole configuration), --hydra-help (what Hydra adds), hydra/launcher=joblib (in parallel)
"""

#: Where jobs of this process, and of its workers, note the runs they had to do with.
NOTES = "SEQBENCH_NOTES"
COMMANDS = {"report": "seqbench.results.report", "ls": "seqbench.listing", "data": "seqbench.data"}


def main() -> None:
    """Run the command line; exit code 0, or 1 where a run failed, or 2 where the input cannot be used."""
    args = sys.argv[1:]
    try:
        if not args or args[0] in ("-h", "--help", "help"):
            print(HELP, end="")
        elif args[0] == "--version":
            from importlib.metadata import version

            print(f"seqbench {version('seqbench')}")
        elif args[0] in COMMANDS:
            sys.exit(import_module(COMMANDS[args[0]]).main(args[1:]))
        else:
            _train()
    except SeqbenchError as error:
        print(f"seqbench: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("\nseqbench: stopped. The same command goes on from here.", file=sys.stderr)
        sys.exit(130)


def _train() -> None:
    """Compose and run, once or for every job of a sweep, and print the table of what came out."""
    import hydra

    from seqbench.config import CONF_DIR, explain

    # With this Hydra hands its errors on instead of printing them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "runs"
        os.environ[NOTES] = str(notes)
        failure: BaseException | None = None
        try:
            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except Exception as error:
            failure = error
        _print_table(notes)
    if failure is not None:
        if os.environ.get("SEQBENCH_TRACEBACK"):
            raise failure
        raise explain(failure) from failure


def job(cfg: DictConfig) -> None:
    """Do one job of Hydra's: every seed of one configuration."""
    from hydra.core.hydra_config import HydraConfig

    from seqbench.config import named

    hydra_config = HydraConfig.get()
    sweep = hydra_config.mode is not None and hydra_config.mode.name == "MULTIRUN"
    try:
        cfg = named(cfg, hydra_config.runtime.choices)
        if sweep and cfg.trainer.devices != 1:
            raise ConfigError(
                f"trainer.devices={cfg.trainer.devices} does not go with -m, whose jobs share one process; "
                "sweep on one device each, or start the jobs one by one."
            )
        _run_job(cfg)
    except SeqbenchError as error:
        if sweep:  # the other jobs go on; say it now, not at the end
            print(f"seqbench: {' '.join(hydra_config.overrides.task)}: {error}", file=sys.stderr, flush=True)
        raise


def _run_job(cfg: DictConfig) -> None:
    from seqbench.training.run import train

    results = train(cfg, on_result=_say)
    failed = [r for r in results if r.status == "failed"]
    if failed:
        raise RunFailed(f"{len(failed)} of {len(results)} runs of {failed[0].task} {failed[0].model} failed.")


def _say(plan: Plan, result: Result, trained: bool) -> None:
    """Print how a run ended, on one line, and note its folder."""
    folder = plan.folder(result.seed)
    if os.environ.get(NOTES) and int(os.environ.get("LOCAL_RANK", "0")) == 0:
        with Path(os.environ[NOTES]).open("a") as file:
            file.write(f"{folder.resolve()}\n")
        print(f"{folder}: {_ending(result)}{'' if trained else ' (was done)'}", flush=True)


def _ending(result: Result) -> str:
    if result.status == "failed":
        last = (result.error or "").strip().splitlines()[-1:]
        return f"failed: {''.join(last)} (the whole error is in result.json)"
    parts: list[Any] = [result.status]
    if result.solved_at_step is not None:
        parts[0] = f"solved at step {result.solved_at_step}"
    for length, metrics in result.test.items():
        value = metrics.get(result.metric or "")
        parts.append(f"test {result.metric} {'—' if value is None else format(value, '.3g')} at {length}")
    return ", ".join(parts) + f", {result.wall_time_s:.0f} s"


def _print_table(notes: Path) -> None:
    from seqbench.results.report import print_report

    if notes.exists():
        folders = dict.fromkeys(notes.read_text().splitlines())
        print()
        print_report(dict.fromkeys(Path(folder).parent for folder in folders))
