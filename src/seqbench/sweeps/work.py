"""What the processes of a sweep do: check configurations, or train the seeds of one.

Each is a child of a server that has imported torch and Lightning once. It writes to a log of its own, and
ends when the process that launched the sweep is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from io import TextIOWrapper
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench import errors
from seqbench.errors import ConfigError, NoMemoryError, SeqbenchError
from seqbench.signals import Stopped, handled
from seqbench.sweeps.job import Facts, Job, Refused

if TYPE_CHECKING:
    from seqbench.runs.plan import Plan
    from seqbench.runs.result import Result

#: Seconds that a process has to write its checkpoint once its launcher is gone.
GRACE = 3.0
#: Steps of a run that measures what a step takes.
STEPS = 10
#: Seconds between two messages of progress.
TICK = 0.2


def check(connection: Connection, log: Path, environment: Mapping[str, str], timed: bool) -> None:
    """Answer each `Job` that comes with its `Facts`, or `Refused`; end with the first None.

    Args:
        connection: to the launcher.
        log: where to write.
        environment: variables.
        timed: whether to measure what a step takes.
    """
    _begin(log, environment)
    while (job := connection.recv()) is not None:
        connection.send(_facts(job, timed))


def train(connection: Connection, log: Path, environment: Mapping[str, str], job: Job, seeds: range) -> None:
    """Train seeds of a job. Sends `(step, text)` as it goes, an `Ended` for each run, and at last None.

    What is said once is sent as a text. A job that cannot be run sends `Refused` in place of the None.
    """
    _begin(log, environment)
    errors.pass_on = connection.send
    from seqbench.runs.schedule import train as train_seeds
    from seqbench.sweeps.outcome import ended, exit_code, failure
    from seqbench.training import progress

    sent = 0.0

    def report(step: int, text: str | None) -> None:
        nonlocal sent
        if text is not None or time.monotonic() - sent > TICK:
            sent = time.monotonic()
            connection.send((step, text))

    progress.listener = report
    try:
        cfg = _configuration(job)
        cfg.seed, cfg.n_seeds = seeds.start, len(seeds)

        def on_result(plan: Plan, result: Result, trained: bool) -> None:
            connection.send(ended(result, plan.folder(result.seed)))

        with handled():  # so that SIGTERM keeps the last evaluation
            train_seeds(cfg, on_result=on_result, label=job.label)
    except Exception as error:
        connection.send(Refused(failure(error), exit_code(error)))
        traceback.print_exc()  # after the answer: the disk of the log may be full
    else:
        connection.send(None)


def train_on_several(
    connection: Connection, log: Path, environment: Mapping[str, str], job: Job, seeds: range, group: str
) -> None:
    """Train seeds of a job whose batches several devices share; messages are those of `train`.

    Lightning starts the other processes by the command line of the first, so that the job has one of its own.
    """
    _begin(log, environment)
    from seqbench.runs.store import read_result
    from seqbench.sweeps.outcome import FAILED, ended

    command = [sys.executable, "-m", "seqbench", *job.options, *job.typed, "hydra.mode=RUN"]
    process = subprocess.Popen([*command, f"++seed={seeds.start}", f"++n_seeds={len(seeds)}"])
    try:
        with handled():
            code = process.wait()
    except Stopped:
        process.terminate()
        process.wait()
        raise
    missing = 0
    for seed in seeds:
        folder = Path(group, f"seed-{seed}")
        result = read_result(folder)
        if result is None:
            missing += 1
        else:
            connection.send(ended(result, folder))
    connection.send(
        Refused(f"it ended with exit code {code}; {log} says why", code or FAILED) if missing else None
    )


def _facts(job: Job, timed: bool) -> Facts | Refused:
    from seqbench.runs import devices
    from seqbench.runs.plan import plan
    from seqbench.runs.store import read_result
    from seqbench.sweeps.outcome import ended, exit_code, failure, made_of

    devices.elsewhere = job.gpus
    try:
        made = plan(_configuration(job))
        before = []
        for seed in made.seeds:
            folder = made.folder(seed)
            with suppress(SeqbenchError):  # who trains it says what is wrong
                result = read_result(folder)
                if result is not None and result.identity == made.identity.digest:
                    before.append(ended(result, folder))
        kind, code = devices.accelerator(made.settings), made.identity.code
        return Facts(
            group=str(made.runs_dir / made.group),
            identity=made.identity.digest,
            seeds=made.seeds,
            before=tuple(before),
            parameters=made.parameters,
            max_steps=made.settings.max_steps,
            threads=made.mode.threads,
            devices=made.mode.devices,
            accelerator=kind,
            there=devices.count(kind),
            together=made.at_once,
            made_of=made_of(code, made.data, made.identity.revisions, made.mode.canonical),
            lasting=made.data is None and not code and not made.config["allowed_packages"],
            seconds_per_step=_seconds_per_step(job) if timed and len(before) < len(made.seeds) else None,
        )
    except Exception as error:
        if not isinstance(error, SeqbenchError):
            traceback.print_exc()
        for_good = isinstance(error, ConfigError) and not isinstance(error, NoMemoryError)
        return Refused(failure(error), exit_code(error), for_good)


def _seconds_per_step(job: Job) -> float | None:
    """Return what a step of one seed takes: the second of two short runs, in a folder that goes away.

    Where devices share a batch, one takes their shares after each other: Lightning starts processes for the
    others by the command of this one, which is the sweep's.
    """
    from seqbench.runs.plan import plan
    from seqbench.runs.schedule import train_planned
    from seqbench.runs.surroundings import own_surroundings

    took = None
    if job.gpus:  # they are elsewhere
        return None
    for _ in range(2):  # in the first, what is compiled is
        with tempfile.TemporaryDirectory() as folder, own_surroundings():
            cfg = _configuration(job)
            cfg.n_seeds, cfg.runs_dir, cfg.logger = 1, folder, {}
            if "eval_size" in cfg.task:
                cfg.task.eval_size = 1
            made = plan(cfg)  # of the whole run: what goes over all its steps could not go over these
            parts = made.settings.accumulate * made.world_size
            short = replace(made.settings, max_steps=STEPS, eval_every=STEPS, patience=None)
            alone = replace(short, devices=1, strategy="auto", accumulate=parts)
            (result,) = train_planned(replace(made, settings=alone, mode=made.mode._replace(devices=1)))
            if result.sequences_per_s:
                took = made.batch_size / result.sequences_per_s
    return took


def _configuration(job: Job) -> Any:
    from omegaconf import DictConfig, OmegaConf

    from seqbench.config.compose import named

    cfg = OmegaConf.create(job.config)
    assert isinstance(cfg, DictConfig)
    return named(cfg, job.choices, job.typed)


def _begin(log: Path, environment: Mapping[str, str]) -> None:
    """Set this process up: its group, its log, its environment, its end."""
    os.setpgid(0, 0)  # a Ctrl-C in the terminal is for the launcher, which passes it on
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.flush()
    with log.open("a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_end_with_launcher, daemon=True).start()


def _end_with_launcher() -> None:
    launcher = multiprocessing.parent_process()
    assert launcher is not None
    wait([launcher.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)
