"""`seqbench search`: for each model, the settings with which it learns a task best."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from contextlib import ExitStack
from importlib.util import find_spec

from seqbench.cli.arguments import Arguments
from seqbench.errors import ConfigError, StoreError, reader_may_leave, say

DESCRIPTION = """\
Look for the settings with which each model learns a task best, by Optuna, with the same budget for each.

  seqbench search task=temporal_order task.length=100 model=rnn,leaky_rnn,gru,lstm
  seqbench search experiment=fair_comparison task=temporal_order model=rnn,gru    # a whole protocol
  seqbench search task=adding model=lstm 'search.lengths=[50,100,200]' search.n_trials=32

Better is: more runs that solve the task, then fewer steps to solve it, then the metric. All of it is measured
on the validation set, over seeds that are for tuning alone. What is varied is in conf/search/<model>.yaml;
memory is varied as a share of the task's span. A key that is typed is not varied. The same command goes on
where it was stopped, and trains again what a killed process has left undone. At its end it prints the
commands that run what was found on fresh seeds, each model as its preset is beside it.
"""
KEYS = """\
keys of a search:
  search=NAME               another preset of the space than the model's own
  search.n_trials=16        configurations of each model
  search.n_seeds=2 search.seed=10000
                            runs of each, and the first seed
  search.lengths=[50,100]   values of the key that sets the span, task.length of most tasks, at which each
                            configuration is trained; else the one of the task
  search.bracket=8          configurations that are made at a time, from what was found before
  search.rungs=3 search.keep=0.5
                            how often those of a bracket are compared, and the part that goes on; with one
                            rung each is trained to trainer.max_steps
  search.space.optim.lr.high=0.1 ~search.space.optim.clip_norm
  'search.space.model.hidden_size={choices:[32,64]}'
                            the space
  search.folder=DIR         for the study (SQLite), the runs and what is found; else in runs_dir/.searches
  hydra.launcher.n_jobs=2   processes
"""


#: The columns of the table that are numbers.
NUMBERS = ("median steps", "trials", "stopped early", "failed", "steps", "core-hours")


def main(argv: list[str]) -> int:
    """Run `seqbench search` with the arguments after that word; return the exit code.

    Raises:
        SeqbenchError: the search cannot be run.
    """
    parser = Arguments(
        "seqbench search", description=DESCRIPTION, epilog=KEYS, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="those of a run, and those below")
    parser.add_argument("--dry-run", action="store_true", help="only say what it would take")
    args = parser.parse_intermixed_args(argv)
    if find_spec("optuna") is None:
        raise ConfigError("seqbench search needs Optuna, seqbench's extra search: pip install optuna.")

    from seqbench.results.rendering.rows import duration, print_rows
    from seqbench.runs.locks import lock
    from seqbench.search.entrants import commands
    from seqbench.search.found import SEARCH_FILE, budget, compared, found, rows, write
    from seqbench.search.plan import plan
    from seqbench.search.study import Study, open_storage
    from seqbench.search.tune import check_space, tune

    search = plan(args.keys)
    with reader_may_leave():
        for part in search.models:
            print(f"{part.model} varies {', '.join(part.space)}")
        print(budget(search.models[0]))
    checked = check_space(search, timed=args.dry_run)
    if checked is None:
        return ConfigError.exit_code
    if args.dry_run:
        for part in search.models:
            trials = part.settings.n_trials
            took = duration(checked[part.model].seconds * part.most_steps)
            print(
                f"{part.model}: {trials} trials, {trials * part.runs} runs, at most about {took} of one core."
            )
        total = sum(checked[part.model].seconds * part.most_steps for part in search.models)
        print(f"In all at most about {duration(total)} of one core, without evaluations.")
        return 0
    with ExitStack() as locks:
        try:
            if not lock(search.folder, locks):
                raise StoreError(f"{search.folder} is being searched by another process.")
        except OSError as error:
            raise StoreError(f"cannot write in {search.folder}: {error.strerror}.") from error
        storage = open_storage(search.folder / "study.db")
        studies = {
            part.model: Study(
                *(storage, part.model, part.space, part.settings, part.steps),
                *(part.made_with(), checked[part.model].made_of),
            )
            for part in search.models
        }
        lacking = tune(search, studies)
        if lacking:
            say(
                f"Runs of {', '.join(lacking)} have no result, for the reasons above; the same command goes "
                "on with them."
            )
            return 1
        every = found(search, studies)
        write(search, every)
    for each in every:
        for trial in each.failed:
            say(f"{each.part.model} trial {trial.number} failed: {trial.error}")
    with reader_may_leave():
        print()
        print_rows(rows(every), right=NUMBERS, below="best configuration")
        print(compared(search))
        print(f"{search.folder / SEARCH_FILE} has every trial. On fresh seeds:")
        for what, command in commands(search).items():
            print(f"{what}:\n  {command}")
    return 0 if all(each.best is not None for each in every) else 1
