"""The quickstart, against another commit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .measure import Settings
from .surroundings import SETTINGS, available_cores, use_cores
from .tables import Row, against

ROOT = Path(__file__).parents[2]
#: The 60 runs that the quickstart was made of at first: four models, three spans, five seeds.
RUNS = [
    *["task=temporal_order", "task.length=100,50,20", "model=gru,lstm,rnn,leaky_rnn", "n_seeds=5"],
    *["batch_size=32", "trainer.max_steps=1000", "trainer.progress=false", "logger=none"],
]
#: So that both sides take the same steps: rounding may decide when a run is solved.
SAME_STEPS = ["trainer.stop_when_solved=false"]
#: The largest ratio of the seconds of training that will do.
MARK = 0.5


def quickstart(settings: Settings) -> list[Row]:
    """The quickstart's first 60 runs on all cores: here, and at the commit of --against.

    Once as they are, and once with the same 1,000 steps for all, whether solved or not. `training` is without
    start-up, evaluations and tests; seeds and jobs that train at the same time share it.
    """
    rows: list[Row] = []
    for name, options in (("until solved", []), ("1,000 steps each", SAME_STEPS)):
        options = [*RUNS, *options] + ["trainer.max_steps=2", "task.eval_size=20"] * settings.quick
        here = run(ROOT, options)
        row: Row = {"runs": name, "steps": here["steps"], "training, s": here["training"]}
        row |= {"whole command, s": here["command"]}
        if settings.against is not None:
            with checked_out(settings.against) as folder:
                then = run(folder, options)
            row |= {"then: steps": then["steps"], "training, s, then": then["training"]}
            row |= {"whole command, s, then": then["command"]}
            row |= against("training then", here["training"], then["training"], MARK)
            row |= against("the command then", here["command"], then["command"])
        rows.append(row)
    return rows


def run(checkout: Path, options: list[str]) -> dict[str, float]:
    """Train in a checkout of the code; return the steps taken and the seconds."""
    cores = len(available_cores())
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    environment["PYTHONPATH"] = str(checkout / "src")
    # Commits from before `hydra/launcher=local` need this one to use all cores.
    has_local = (checkout / "conf/hydra/launcher/local.yaml").exists()
    parallel = [] if has_local else ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={cores}"]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "seqbench", "-m", *options, *parallel],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            preexec_fn=lambda: use_cores(cores),
        )
        command = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(
                f"The quickstart fails in {checkout}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        results = [json.loads(path.read_text()) for path in Path(folder).glob("runs/**/result.json")]
    training = sum(result["sequences"] / result["sequences_per_s"] for result in results) / cores
    return {"steps": sum(r["steps"] for r in results), "training": training, "command": command}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check a commit out into a folder that goes away afterwards."""
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "then"
        subprocess.run([*git, "add", "--quiet", "--detach", str(path), commit], check=True)
        try:
            yield path
        finally:
            subprocess.run([*git, "remove", "--force", str(path)], check=True)
