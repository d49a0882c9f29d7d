"""Overrides: what can be read, and one sentence for what cannot."""

from __future__ import annotations

import pytest

from seqbench.config.overrides import choices, parse, readable
from seqbench.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("task", "'task' cannot be read: an argument reads key=value."),
        ("=1", "'=1' cannot be read: an argument reads key=value."),
        ("é=1", "'é=1' cannot be read: 'é' is no key, and an argument reads key=value."),
        ("seed =1", "'seed =1' cannot be read: 'seed ' is no key, and an argument reads key=value."),
        ("task=adding,", "'task=adding,' cannot be read: a value is missing beside a comma."),
        ("seed=1,,2", "'seed=1,,2' cannot be read: a value is missing beside a comma."),
        ("task='adding", """"task='adding" cannot be read: a quote is not closed."""),
        ("seed={", "'seed={' cannot be read: a bracket is not closed."),
        ("seed=[1", "'seed=[1' cannot be read: a bracket is not closed."),
        ("seed=choice()", "'seed=choice()' cannot be read: empty choice is not legal."),
        (
            "runs_dir=ä",
            """'runs_dir=ä' cannot be read: a value with such signs goes in quotes, 'runs_dir="…"'.""",
        ),
        (
            "task=adding model=lstm",
            "'task=adding model=lstm' cannot be read: a value with such signs goes in",
        ),
        (
            "logger=null",
            "logger=null must name a preset: logger=none, logger=[…]; `seqbench ls loggers` lists",
        ),
        ("callbacks=null", "callbacks=null must name a preset: callbacks=none, callbacks=[…];"),
        ("model=null", "model=null must name a preset; `seqbench ls models` lists them."),
        ("model=gru,rnn.yaml", "model=gru,rnn.yaml names a file; a preset has no ending: model=rnn."),
        ("task=", "task= must name a preset; `seqbench ls tasks` lists them."),
        ("task=3", "task=3 must name a preset; `seqbench ls tasks` lists them."),
        ("model={a:1}", "model={a:1} must name a preset; `seqbench ls models` lists them."),
        ("model=rnn,null", "model=rnn,null must name a preset; `seqbench ls models` lists them."),
        (
            "model/readout=null",
            "model/readout=null must name a preset; `seqbench ls model/readout` lists them.",
        ),
        ("experiment=null", "experiment=null must name a preset; without one, leave experiment out."),
        (
            "model=[rnn,lstm]",
            "model=[rnn,lstm] must be one preset and not a list; a sweep trains with each of ",
        ),
        (
            "optim=[adam,sgd]",
            "optim=[adam,sgd] must be one preset and not a list; a sweep trains with each of ",
        ),
        ("+experiment=quickstart", "A preset is chosen without +: experiment=quickstart."),
        ("++model=lstm", "A preset is chosen without +: model=lstm."),
        (
            "runs_dir=~nobody-of-this-name/x",
            "~nobody-of-this-name/x is in no home folder that is known here;",
        ),
    ],
)
def test_what_cannot_be_read_is_one_sentence(typed, sentence):
    with pytest.raises(ConfigError) as caught:
        readable(["seed=1", typed])
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_what_can_be_read_stays_as_it_is():
    typed = [
        "task=adding",
        "model=rnn,lstm",
        "logger=[csv,wandb]",
        "~seed",
        "+a.b=1",
        "++a.c=[1,2]",
        "logger=[]",
    ]
    typed += [
        "seed=range(3)",
        "runs_dir=${oc.env:X}",
        "model=glob(*)",
        "a='~/x'",
        "b=1e3",
    ]
    assert readable(typed) == typed


def test_the_home_folder_stands_in_place_of_the_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/o'neil é")
    found = parse(readable(["runs_dir=~/x", "data_dir=~", "a=[~/x,y]", "runs_dir=~/x,~/y"]))
    home = "/home/o'neil é"
    assert [o.value() for o in found[:3]] == [f"{home}/x", home, [f"{home}/x", "y"]]
    assert [v.text for v in found[3].value().list] == [f"{home}/x", f"{home}/y"]


def test_the_presets_that_were_chosen():
    typed = [
        "model=rnn,lstm",
        "task.length=5",
        "logger=[csv,wandb]",
        "~optim",
        "model/readout=deep",
        "seed=1,2",
    ]
    assert choices(typed) == ["model=rnn", "logger=[csv,wandb]", "model/readout=deep"]
