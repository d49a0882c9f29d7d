"""Arguments that a command does not know: one sentence, exit code 2, and no block of usage."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--foo"], "unrecognized arguments: --foo; `seqbench --help` says more."),
        (["--cfg", "nope"], "argument --cfg/-c: invalid choice: 'nope' (choose from "),
        (["--config-dir", "nope"], "--config-dir=nope is not a folder."),
        (["ls", "--config-dir", "nope"], "--config-dir=nope is not a folder."),
        (["--config-name", "nope"], "Cannot find primary config 'nope'."),
        (["--resolve"], "The --resolve flag can only be used in conjunction with --cfg or --help."),
        (["report", "--foo"], "unrecognized arguments: --foo; `seqbench report --help` says more."),
        (["report", "--format", "xx"], "argument --format: invalid choice: 'xx' (choose from 'table',"),
        (["report", "--out"], "argument --out: expected one argument; `seqbench report --help` says more."),
        (["ls", "--x"], "unrecognized arguments: --x; `seqbench ls --help` says more."),
        (["data", "--data-dir"], "argument --data-dir: expected one argument; `seqbench data --help`"),
        (
            ["analyse", "memory", "model=rnn"],
            "the following arguments are required: --run; `seqbench analyse ",
        ),
        (
            ["analyse", "memory", "--run", "x", "k=v"],
            "--run takes its configuration from the run; leave k=v out.",
        ),
        (["analyse", "memory", "--run", "x", "--row", "a"], "argument --row: invalid int value: 'a'; "),
        (["analyse", "gradient_flow", "--foo"], "unrecognized arguments: --foo; `seqbench analyse gradient"),
        (["analyse", "gradient_flow", "model=null"], "model=null must name a preset; `seqbench ls models`"),
    ],
)
def test_what_is_wrong_is_one_sentence(seqbench, args, sentence):
    said = seqbench(*args)
    assert said.code == 2 and said.out == ""
    assert said.err.startswith(f"seqbench: {sentence}") and len(said.err.splitlines()) == 1
