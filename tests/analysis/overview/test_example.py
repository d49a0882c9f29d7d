"""One example of a task as text."""

from __future__ import annotations

import torch

from seqbench.analysis.overview.example import example
from seqbench.tasks.base import generator


def drawn(task, length):
    return task.sample(generator("validation"), 1, length)


def test_tokens_stand_above_the_targets_of_their_steps(make_task):
    task = make_task("task=copy_memory", "task.symbols=2", "task.length=3")
    batch = drawn(task, 3)
    a, b = batch.inputs[0, :2].tolist()
    assert example(task, batch, 60) == [
        f"input    {a} {b} _ _ | _ _",
        f"target   _ _ _ _ _ {a} {b}",
    ]
    narrow = example(task, batch, 9 + 8)
    assert narrow == [
        f"input    {a} {b} _ _",
        "target   _ _ _ _",
        "",
        "input    | _ _",
        f"target   _ {a} {b}",
    ]


def test_steps_whose_target_does_not_count_are_marked(make_task):
    task = make_task("task=reverse_string", "task.length=3", "task.eval_lengths=[3]")
    batch = drawn(task, 3)
    bits = batch.inputs[0, :3].tolist()
    target = " ".join(map(str, ["·"] * 3 + bits[::-1]))
    assert example(task, batch, 60)[1] == f"target   {target}"


def test_numbers_have_plots_and_a_class_its_name(make_task):
    task = make_task("task=adding", "task.length=8")
    batch = drawn(task, 8)
    lines = example(task, batch, 60)
    assert [line[:9].strip() for line in lines] == ["input 1", "", "", "", "input 2", "target"]
    marks = "".join("█" if mark else "▁" for mark in batch.inputs[0, :, 1])
    assert lines[4].endswith(f"0, 1 ┤{marks}")
    assert lines[-1] == f"target   {batch.targets.item():.3g}"


def test_trees_are_written_with_brackets(make_task):
    task = make_task("task=listops", "task.length=1", "task.eval_lengths=[1]")
    batch = drawn(task, 1)
    given, target = example(task, batch, 200)
    assert given.startswith("input    [ ") and given.endswith(" ]")
    assert target == f"target   {batch.targets.item()}"


def test_an_image_is_drawn_as_it_was_before_its_pixels_were_permuted(make_task):
    task = make_task("task=psmnist")
    picture = torch.arange(784.0).view(28, 28)
    sequence = task.sequences(picture[None].to(torch.uint8) * 0 + picture[None].to(torch.int32))
    assert torch.equal(task.picture(sequence[0].float()), picture)


def test_long_sequences_show_their_beginning_and_their_end(make_task):
    task = make_task("task=time_warp", "task.length=300")
    lines = example(task, drawn(task, 300), 41)
    assert lines.count("⋮") == 1 and len([line for line in lines if line.startswith("input")]) == 5
