"""The command line: `seqbench task=adding model=lstm`, `seqbench report`, `seqbench analyse`, …"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.errors import ConfigError, SeqbenchError, StoreError, nearest
from seqbench.processes import is_first_process

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from seqbench.runs.store import Result
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
  seqbench analyse gradient_flow model=rnn,lstm task=latch [--run FOLDER] [--out DIR]
                                     how gradients fall with distance from the loss

Keys that every run knows
  seed=0 n_seeds=1 batch_size=64 runs_dir=runs data_dir=data
  task.length=100 task.eval_lengths=[100,200]
  model.hidden_size=64 model.num_layers=1 model.param_budget=10000
  optim.lr=0.003 optim.clip_norm=1
  trainer.max_steps=2000 trainer.eval_every=100 trainer.stop_when_solved=true trainer.devices=1

Presets of your own lie in ./presets/<group>/<name>.yaml, in $SEQBENCH_PRESETS, or in --config-dir DIR.
More: --cfg job (the whole configuration), --hydra-help (what Hydra adds), hydra/launcher=joblib (in parallel)
"""

#: Exit code of a command some of whose runs failed.
FAILED = 1
COMMANDS = {
    "report": "seqbench.results.report",
    "analyse": "seqbench.analysis.command",
    "ls": "seqbench.listing",
    "data": "seqbench.data",
}


def main() -> None:
    """Run the command line; exit code 0, or 1 where a run failed, or 2 where the input cannot be used."""
    args = sys.argv[1:]
    try:
        if not args or args[0] == "help" or _asks_for_help(args):
            print(HELP, end="")
        elif args[0] == "--version":
            from importlib.metadata import version

            print(f"seqbench {version('seqbench')}")
        elif args[0] in COMMANDS:
            sys.exit(import_module(COMMANDS[args[0]]).main(args[1:]))
        elif "=" not in args[0] and not args[0].startswith(("-", "~", "+")):
            raise ConfigError(
                f"There is no command {args[0]!r}.{nearest(args[0], COMMANDS)} A run is named by key=value; "
                "`seqbench --help` says more."
            )
        elif {"-m", "--multirun"} & {*args[1:]}:
            raise ConfigError("-m goes first: `seqbench -m model=rnn,gru …`.")
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


def _asks_for_help(args: list[str]) -> bool:
    return args[0] not in COMMANDS and bool({"-h", "--help"} & {*args})


def _train() -> None:
    """Compose and run, once or for every job of a sweep, and print the table of what came out."""
    import hydra

    from seqbench.config import CONF_DIR, explain

    # With this Hydra hands its errors on instead of printing them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        notes = Notes(Path(folder))
        try:

            def task(cfg: DictConfig) -> None:
                job(cfg, notes)

            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(task)()
        except Exception as error:  # of Hydra's, OmegaConf's, YAML's; a job keeps its own
            if isinstance(error, OSError) and error.strerror:
                raise StoreError(f"cannot write {error.filename}: {error.strerror}.") from error
            raise explain(error) from error
        notes.print_table()
        if codes := notes.exit_codes():
            if len(codes) > 1:
                print(
                    f"seqbench: {len(codes)} jobs of the sweep ended in errors, told above.", file=sys.stderr
                )
            sys.exit(max(codes))


class Notes:
    """What the jobs of a command, in this process or in workers of it, did: which runs, which errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, kind: str, note: object) -> None:
        """Append a line to the notes of a kind."""
        with (self.folder / kind).open("a") as file:
            file.write(f"{note}\n")

    def _read(self, kind: str) -> list[str]:
        path = self.folder / kind
        return path.read_text().splitlines() if path.exists() else []

    def exit_codes(self) -> list[int]:
        """Return the exit code of every job that ended in an error."""
        return [int(code) for code in self._read("errors")]

    def print_table(self) -> None:
        """Print the comparison of the runs."""
        from seqbench.results.report import print_report

        if runs := self._read("runs"):
            print()
            print_report(dict.fromkeys(Path(run).parent for run in runs))


def job(cfg: DictConfig, notes: Notes) -> None:
    """Do one job of Hydra's: every seed of one configuration. An error of the user's is noted, not raised."""
    from hydra.core.hydra_config import HydraConfig

    from seqbench.config import named
    from seqbench.training.run import train

    hydra_config = HydraConfig.get()
    sweep = hydra_config.mode is not None and hydra_config.mode.name == "MULTIRUN"
    try:
        cfg = named(cfg, hydra_config.runtime.choices)
        if sweep and cfg.trainer.devices != 1:
            raise ConfigError(
                f"trainer.devices={cfg.trainer.devices} does not go with -m, whose jobs share one process; "
                "sweep on one device each, or start the jobs one by one."
            )
        if not sweep and hydra_config.sweeper.get("params"):
            print("This preset is a sweep, and without -m one run of it; -m goes first.", file=sys.stderr)
        results = train(cfg, on_result=partial(_say, notes))
        if any(result.status == "failed" for result in results):
            notes.add("errors", FAILED)
    except SeqbenchError as error:
        which = f"{' '.join(hydra_config.overrides.task)}: " if sweep else ""
        print(f"seqbench: {which}{error}", file=sys.stderr, flush=True)
        notes.add("errors", error.exit_code)
    except Exception:  # a fault of seqbench's own: the other jobs of a sweep go on
        traceback.print_exc()
        notes.add("errors", FAILED)


def _say(notes: Notes, plan: Plan, result: Result, trained: bool) -> None:
    """Print how a run ended, on one line, and note its folder."""
    folder = plan.folder(result.seed)
    if is_first_process():
        notes.add("runs", folder.resolve())
        line = f"{folder}: {_ending(result)}{'' if trained else ' (was done)'}\n"
        sys.stdout.write(line)  # in one piece: workers share the output
        sys.stdout.flush()


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
