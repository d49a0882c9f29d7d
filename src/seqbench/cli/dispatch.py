"""Which command runs, the help, and how errors become exit codes."""

from __future__ import annotations

import errno
import getpass
import logging
import os
import shlex
import signal
import sys
from importlib import import_module

from seqbench.cli.output import open_streams
from seqbench.errors import ConfigError, SeqbenchError, drop_output, nearest, reader_may_leave, say
from seqbench.signals import Stopped, handled

HELP = """\
seqbench: which sequence model learns a dependency over how long a span, how surely, and at what cost?

Train
  seqbench task=adding model=lstm                          one run
  seqbench task=adding model=lstm n_seeds=5                the same with five seeds
  seqbench -m model=rnn,lstm task.length=50,100 n_seeds=5  a sweep: every combination
  seqbench -m experiment=quickstart                        a sweep that comes with seqbench
  seqbench -m … --zip task.length,trainer.max_steps        values side by side: first with first …
  seqbench -m … --jobs FILE                                the same for each line of a file, key=value as here
  seqbench -m … --dry-run                                  what it would run, and what that would take
  seqbench -m … hydra/launcher=slurm                       on a cluster, with the extra slurm; or =ray

  seqbench span task=latch model=rnn,gru,lstm              the longest span that each learns, and how surely
  seqbench search task=temporal_order model=rnn,lstm       the settings with which each model learns it best

  A run that has a result is read and not trained again; a run that was stopped is resumed.

Look
  seqbench ls [GROUP …] [--format text|md]
                                     every task, model, experiment …, one line each
  seqbench show task=latch model=lstm [--sample N]
                                     what a task and a model are: an example, equations, sizes
  seqbench report [RUNS …] [--task T] [--model M] [--where KEY=VALUE] [--sort COLUMN]
                  [--format table|md|latex|csv|json|html] [--out DIR] [--figures DIR] [--watch]
                                     the table of all runs, or of those; RUNS are folders or exported files;
                                     html is one page for a browser, figures are for a paper
  seqbench plot curves|steps|span|forest|metric|compare [RUNS …] [--task T] [--model M] [--out FILE]
                                     learning curves; how many runs have solved their task by when
  seqbench compare [RUNS …] --models lstm,gru [--task T] [--where KEY=VALUE]
                                     is one model better than another?
  seqbench dashboard [RUNS …] [--project P] [--upload FILE]
                                     a workspace of Weights & Biases for these runs
  seqbench runs [DIR] [KEY=VALUE …] [--status S] [--seeds] [--format table|json|csv]
                                     which runs are there, and how far each has come
  seqbench runs rm DIR|KEY=VALUE …   remove runs: names them, and asks
  seqbench runs export FILE [--curves], seqbench runs import FILE
                                     carry finished runs to other machines, where they count as done
  seqbench data [NAME …] [--get]     which real data are here; how to get the rest, or get them
  seqbench predict FOLDER FILE [--out FILE] [--probabilities]
                                     what a trained run makes of new sequences
  seqbench analyse gradient_flow|bptt|influence|states|memory [KEY=VALUE …] [--run FOLDER] [--out DIR]
                                     inside models, before training or in trained runs: gradients, states …

Keys of every run
  seed=0 n_seeds=1 batch_size=64 runs_dir=runs data_dir=data
  task.length=100 task.eval_lengths=[100,200]
  model.hidden_size=64 model.num_layers=1 model.param_budget=10000
  optim.lr=0.003 optim.clip_norm=1
  trainer.max_steps=2000 trainer.eval_every=100 trainer.stop_when_solved=true trainer.devices=1
  logger=none logger=trackio logger=[wandb,csv] logger.wandb.project=mine callbacks=[mine]

Your own presets are in ./presets/<group>/<name>.yaml, in $SEQBENCH_PRESETS, or in --config-dir DIR.
Your own code is used if you name its package: allowed_packages=[mypackage], or in ~/.config/seqbench/trusted.
More: --cfg job (the whole configuration), --hydra-help (what Hydra adds), hydra.launcher.n_jobs=2 (processes)
"""

NAMES = (
    "span",
    "search",
    "report",
    "compare",
    "plot",
    "dashboard",
    "runs",
    "analyse",
    "predict",
    "show",
    "ls",
    "data",
)
#: The module that runs each command, by its `main`, with the arguments after the command's name.
COMMANDS = {name: f"seqbench.cli.{name}" for name in NAMES}


def main() -> None:
    """Run the command line.

    The exit code is 0, or 1 if a run failed or a disk is full, or 2 if the input cannot be used; 130 after
    Ctrl-C, 143 after SIGTERM.
    """
    open_streams()
    _do_without_a_home()
    code = 0
    try:
        with handled(), reader_may_leave():
            code = _run(sys.argv[1:])
    except SeqbenchError as error:
        say(str(error))
        code = error.exit_code
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        say(f"cannot write {error.filename or 'the output'}: {error.strerror}.")
        drop_output()
        code = 1
    except (KeyboardInterrupt, Stopped) as end:
        number = end.number if isinstance(end, Stopped) else signal.SIGINT
        by = " by SIGTERM" if number == signal.SIGTERM else ""
        print(f"\nseqbench: stopped{by}. The same command resumes it.", file=sys.stderr)
        code = 128 + number
    sys.exit(code)


def _do_without_a_home() -> None:
    """Settle what libraries ask for and some containers lack: a home folder, the name of the user."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it says that it keeps its cache elsewhere
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"uid-{os.getuid()}"  # torch's compiler names its cache after the user


def _run(args: list[str]) -> int:
    """Run a command and return its exit code."""
    if not args or args[0] == "help" or _asks_for_help(args):
        print(HELP, end="")
        return 0
    if args[0] == "--version":
        from seqbench.versions import own_version

        print(f"seqbench {own_version()}")
        return 0
    if args[0] in COMMANDS:
        return int(import_module(COMMANDS[args[0]]).main(args[1:]))
    if "=" not in args[0] and not args[0].startswith(("-", "~", "+")):
        raise ConfigError(
            f"There is no command {args[0]!r}.{nearest(args[0], COMMANDS)} A run is named by key=value; "
            "`seqbench --help` says more."
        )
    from seqbench.cli.sweep import as_hydra_reads_it

    sys.argv[1:] = as_hydra_reads_it(args)
    return int(import_module("seqbench.cli.train").main(shlex.join(["seqbench", *args])))


def _asks_for_help(args: list[str]) -> bool:
    return args[0] not in COMMANDS and bool({"-h", "--help"} & {*args})
