"""How a run ended, as the process that trained it says."""

from pathlib import Path

from seqbench.sweeps.display import verdict
from seqbench.sweeps.outcome import ended
from tests.runs.handmade import result

ACCURACY = {"metric": "accuracy", "solved_when": None, "solved_at_step": None, "status": "finished"}


def test_the_metric_is_that_at_the_length_of_training() -> None:
    its = result(length=50, test={"50": {"loss": 0.125}, "100": {"loss": 0.5}})
    assert ended(its, Path("a")).value == 0.125


def test_real_data_have_the_one_length_that_they_are_tested_at() -> None:
    of_images = result(test={"784": {"accuracy": 0.95}}, **ACCURACY)
    del of_images.config["task"]["length"]
    assert ended(of_images, Path("a")).value == 0.95
    # That of a text is the piece of an optimisation step; the test is of the whole part.
    of_text = result(length=35, test={"82430": {"accuracy": 0.5}}, **ACCURACY)
    assert ended(of_text, Path("a")).value == 0.5


def test_the_verdict_of_runs_without_a_mark_is_their_metric() -> None:
    runs = [
        ended(result(seed, test={"140": {"accuracy": value}}, **ACCURACY), Path("a"))
        for seed, value in enumerate((0.5, 0.75, 0.875))
    ]
    assert verdict(runs) == "test accuracy 0.75 (0.5 to 0.875)"
    assert verdict(runs, show_test=False) == "3 ended"
