"""`seqbench key=value …`, `seqbench -m …`: one run, or every job of a sweep, and the table of the results."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from seqbench.cli.arguments import refused
from seqbench.errors import ConfigError, SeqbenchError, StoreError, printable, reader_may_leave, say
from seqbench.processes import is_first_process
from seqbench.runs.asked import tell
from seqbench.sweeps.job import given
from seqbench.sweeps.outcome import FAILED, NO_MEMORY, failure

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from seqbench.runs.plan import Plan
    from seqbench.runs.result import Result


def main(command: str) -> int:
    """Let Hydra compose `sys.argv` and run each job; print the comparison of the runs; return the exit code.

    Experiments that are swept run one after another, because each may be a sweep of its own.

    Args:
        command: what was typed, of which `sys.argv` is what Hydra reads.

    Raises:
        SeqbenchError: the command line cannot be used. The errors of single jobs are printed.
    """
    import hydra
    from hydra.core.utils import env_override

    from hydra_plugins.seqbench.loader import preset_loader
    from seqbench.cli.sweep import each_experiment
    from seqbench.config.explain import explain
    from seqbench.config.presets import CONF_DIR

    _check_options(sys.argv[1:])
    since = datetime.now(UTC)
    overrides = _read_arguments()
    with tempfile.TemporaryDirectory() as folder:
        log = JobLog(Path(folder))
        try:

            def task(cfg: DictConfig) -> None:
                run_job(cfg, log)

            task.log = log  # type: ignore[attr-defined] # for the launcher, which runs the jobs itself
            run = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(task)
            for argv in each_experiment(sys.argv):
                sys.argv = argv
                # With this variable Hydra raises its errors instead of printing them.
                with preset_loader(), env_override({"HYDRA_FULL_ERROR": "1"}):
                    run()
        except Exception as error:  # Hydra's, OmegaConf's, YAML's; `run_job` handles the errors of jobs
            if isinstance(error, OSError) and error.strerror and error.filename is not None:
                raise StoreError(f"cannot write {error.filename}: {error.strerror}.") from error
            raise explain(error, overrides) from error
        if is_first_process():
            _show_table(log.results(), since, command)
        codes = log.exit_codes()
    if len(codes) > 1:
        say(f"{len(codes)} errors in this sweep, printed above.")
    return max(codes, default=0)


def _check_options(args: list[str]) -> None:
    """Raise a ConfigError for options of Hydra's that run code.

    They are `--experimental-rerun`, which opens a pickle and may be shortened, and modules that hold presets.
    """
    for arg in args:
        if arg.startswith("--e") or "pkg://" in arg:
            raise ConfigError(f"{arg} is not allowed: it could make Hydra run code.")


def _read_arguments() -> list[str]:
    """Check `sys.argv`, and write it as Hydra reads it, which takes overrides in a row; return these.

    Raises:
        ConfigError: an argument cannot be read.
    """
    from hydra._internal.utils import get_args_parser

    from seqbench.config.overrides import readable

    def refuse(message: str) -> NoReturn:
        raise refused("seqbench", message)

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    typed = parser.parse_intermixed_args(sys.argv[1:]).overrides
    options = sys.argv[1:]
    for override in typed:
        options.remove(override)
    read = readable(typed)
    sys.argv[1:] = [*read, *options]
    return read


class JobLog:
    """What the jobs of a command did: the folders of their runs and the exit codes of their errors.

    The jobs may run in other processes, so the log is a folder of files that they append to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add_run(self, folder: Path) -> None:
        """Log the folder of a run that this command asked for and that has a result."""
        self._append("runs", folder.resolve())
        tell(folder)

    def add_error(self, exit_code: int) -> None:
        """Log that a job ended in an error."""
        self._append("errors", exit_code)

    def add_errors(self, exit_codes: Iterable[int]) -> None:
        """Log that jobs ended in errors."""
        for exit_code in exit_codes:
            self.add_error(exit_code)

    def exit_codes(self) -> list[int]:
        """Return the exit code of every job that ended in an error."""
        return [int(code) for code in self._read("errors")]

    def results(self) -> dict[Path, Result]:
        """Return the result of each run by its folder, and of no others that lie in the same folders."""
        from seqbench.runs.store import read_result

        results = {Path(run): read_result(Path(run)) for run in self._read("runs")}
        return {folder: result for folder, result in results.items() if result is not None}

    def _append(self, kind: str, entry: object) -> None:
        with (self.folder / kind).open("a") as file:
            file.write(f"{entry}\n")

    def _read(self, kind: str) -> list[str]:
        path = self.folder / kind
        return path.read_text().splitlines() if path.exists() else []


def _show_table(runs: Mapping[Path, Result], since: datetime, command: str) -> None:
    """Print the comparison of runs, and log it in Weights & Biases if it is that of a sweep."""
    if not runs:
        return
    from seqbench.cli.sharing import share
    from seqbench.results.frame import compare
    from seqbench.results.rendering.terminal import print_comparison

    comparison = compare(runs.values())
    with reader_may_leave():
        print()
        print_comparison(comparison)
    share(runs, comparison, since.isoformat(timespec="seconds"), command)


def run_job(cfg: DictConfig, log: JobLog) -> None:
    """Run one job of Hydra's: every seed of one configuration. Errors are printed and logged, not raised."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from seqbench.config.compose import named

    hydra_config = HydraConfig.get()
    typed: Any = OmegaConf.to_container(hydra_config.overrides.task, resolve=False)
    sweep = hydra_config.mode is not None and hydra_config.mode.name == "MULTIRUN"
    try:
        cfg = named(cfg, hydra_config.runtime.choices, typed)
        if sweep and cfg.trainer.get("devices", 1) != 1:
            raise ConfigError(
                f"trainer.devices={cfg.trainer.devices} does not go with this launcher, whose jobs share one "
                "process; hydra/launcher=local gives each its own."
            )
        if not sweep and hydra_config.sweeper.get("params"):
            say("this preset is a sweep, and without -m only one run of it is made.")
        launcher = hydra_config.runtime.choices.get("hydra/launcher")
        if not sweep and launcher not in (None, "local", "basic"):
            say(f"without -m hydra/launcher={launcher} is not used, and this run is made here.")
        if not sweep and hydra_config.launcher.get("dry_run"):
            log.add_errors(_planned(cfg, hydra_config))
            return
        if not sweep and cfg.trainer.get("devices", 1) == 1:
            _print_first(cfg)
        from seqbench.runs.schedule import train

        results = train(
            cfg,
            on_result=partial(_print_result, log),
            on_plan=None if sweep else _print_size,
            label=given(typed),
        )
        if any(result.status == "failed" for result in results):
            log.add_error(FAILED)
    except SeqbenchError as error:
        say(f"{' '.join(typed)}: {error}" if sweep else str(error))
        log.add_error(error.exit_code)
    except Exception:  # a fault of seqbench's own, or no memory; the other jobs of a sweep still run
        fault = traceback.format_exc()
        if (said := failure(fault)) == NO_MEMORY:
            say(f"{said}.")
        else:
            print(fault, file=sys.stderr, flush=True)
        log.add_error(FAILED)


def _planned(cfg: DictConfig, hydra_config: Any) -> list[int]:
    """Say what one run would take, and train nothing; return the exit code where it is refused.

    Args:
        cfg: its configuration.
        hydra_config: Hydra's own node.
    """
    from omegaconf import OmegaConf

    from hydra_plugins.seqbench.local import places_of_presets
    from seqbench.sweeps.job import Job
    from seqbench.sweeps.launch import launch
    from seqbench.sweeps.sweep import Settings

    plain: Any = OmegaConf.to_container(cfg, resolve=False)
    its: Any = OmegaConf.to_container(hydra_config.overrides, resolve=False)
    choices = dict(hydra_config.runtime.choices)
    label = f"{choices['model']} {choices['task']}"
    job = Job(0, its["task"], plain, choices, label, places_of_presets(its["hydra"]))
    return launch([job], Path(hydra_config.sweep.dir), Settings(dry_run=True), on_run=tell)


def _print_first(cfg: DictConfig) -> None:
    """Print at once, before torch is imported, what is run and where its result will lie."""
    length = f" {cfg.task.length}" if cfg.task.get("length") is not None else ""
    seeds = f", {cfg.n_seeds} seeds" if cfg.n_seeds > 1 else ""
    line = f"{cfg.preset.model} on {cfg.preset.task}{length}{seeds} → {cfg.runs_dir}/{cfg.preset.task}"
    with reader_may_leave():
        sys.stdout.write(f"{printable(line)}\n")


def _print_size(plan: Plan) -> None:
    """Print how large a model is, as soon as one has been built."""
    if is_first_process():
        with reader_may_leave():
            sys.stdout.write(f"{plan.parameters:,} parameters, at most {plan.settings.max_steps:,} steps\n")


def _print_result(log: JobLog, plan: Plan, result: Result, trained: bool) -> None:
    """Print one line that says how a run ended, and log its folder."""
    folder = plan.folder(result.seed)
    if is_first_process():
        log.add_run(folder)
        line = f"{folder}: {_ending(result)}{'' if trained else ' (was done)'}"
        with reader_may_leave():
            sys.stdout.write(f"{printable(line)}\n")  # in one call, because workers share the output


def _ending(result: Result) -> str:
    if result.status == "failed":
        return f"failed: {failure(result.error or 'no message')} (the whole error is in result.json)"
    parts: list[Any] = [result.status]
    if result.solved_at_step is not None:
        parts[0] = f"solved at step {result.solved_at_step}"
    for length, metrics in result.test.items():
        value = metrics.get(result.metric or "")
        parts.append(f"test {result.metric} {'—' if value is None else format(value, '.3g')} at {length}")
    return ", ".join(parts) + f", {result.wall_time_s:.0f} s"
