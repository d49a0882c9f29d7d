"""`seqbench dashboard`: the workspace of runs, as JSON and saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from seqbench.cli.dashboard import main
from seqbench.errors import ConfigError, StoreError
from seqbench.runs.result import Result
from tests.runs.handmade import result, store
from tests.wandb_server import serving

EXAMPLE = Path(__file__).parents[2] / "docs" / "example" / "sweep.yaml"


def fill() -> None:
    """Store runs of two models on a task."""
    for model in ("lstm", "gru"):
        for seed in (0, 1):
            store(Path("runs"), result(seed, model=model))


def panels(view: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the configurations of the panels of each section."""
    sections = view["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: [panel["config"] for panel in section["panels"]] for section in sections}


@pytest.mark.slow
def test_without_an_account_the_workspace_is_a_file_that_is_uploaded_later(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill()
    assert main(["runs", "--project", "mine"]) == 0
    said = capsys.readouterr()
    assert said.out == "dashboard.json\n"
    assert "Run `wandb login`, and then `seqbench dashboard --upload dashboard.json`." in said.err
    view = json.loads(Path("dashboard.json").read_text())
    assert view["project"] == "mine"
    found = panels(view)
    (curve,) = (panel for panel in found["Learning curves"] if panel["chartTitle"] == "val/loss")
    assert curve["metrics"] == ["val/loss"] and curve["xAxis"] == "step" and curve["groupArea"] == "minmax"
    assert any(panel.get("metrics") == ["test/50/loss"] for panel in found["Test"])
    assert {"Solved", "Cost against quality", "Gradient flow", "Looking inside"} <= {*found}
    with pytest.raises(ConfigError, match="nobody is logged in to W&B"):
        main(["--upload", "dashboard.json"])
    with serving() as server:
        said = subprocess.run(
            [sys.executable, "-m", "seqbench", "dashboard", "--upload", "dashboard.json"],
            env=os.environ | server.environment,
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stderr
        (saved,) = server.views
    assert saved["projectName"] == "mine" and saved["entityName"] == "me"
    assert panels({"spec": json.loads(saved["spec"])}) == found


def test_what_is_no_workspace_is_refused() -> None:
    with pytest.raises(StoreError, match=r"^There is no file nowhere\.json\.$"):
        main(["--upload", "nowhere.json"])
    Path("other.json").write_text('{"project": "mine"}')
    with pytest.raises(StoreError, match=r"^other\.json is no workspace of W&B's: "):
        main(["--upload", "other.json"])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["elsewhere"], "elsewhere (RUNS)"),
        (["--model", "gru"], "gru (--model)"),
        (["--task", "adding"], "adding (--task)"),
        (["--where", "optim.lr=0.1"], "optim.lr=0.1 (--where)"),
        (["--name", "mine"], "mine (--name)"),
        (["--out", "other.json"], "other.json (--out)"),
    ],
)
def test_nothing_else_goes_with_a_workspace_that_was_written(given: list[str], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        main([*given, "--upload", "some.json"])
    assert str(caught.value).endswith(f"leave {named} out.")


def logged(project: str | None, entity: str | None = None, **fields: Any) -> Result:
    """Return a result of a run that is logged in W&B."""
    node = {"_target_": "seqbench.training.loggers.wandb", "project": project, "entity": entity}
    its = result(**fields)
    return replace(its, config=its.config | {"logger": {"wandb": node}})


@pytest.mark.slow
def test_a_workspace_is_of_the_project_in_which_the_runs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb_workspaces")
    store(Path("runs"), logged("mine", "team"))
    assert main(["runs", "--out", "one.json"]) == 0
    store(Path("runs"), logged(None, model="gru"))
    store(Path("runs"), result(model="rnn"))
    with pytest.raises(ConfigError, match=r"^these runs are in the projects mine, seqbench of W&B; choose"):
        main(["runs", "--out", "two.json"])
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    assert main(["runs", "--model", "gru", "--out", "three.json"]) == 0
    assert main(["runs", "--model", "rnn", "--out", "four.json"]) == 0
    assert main(["runs", "--project", "given", "--out", "five.json"]) == 0
    found = [json.loads(Path(f"{n}.json").read_text())["project"] for n in ("one", "three", "four", "five")]
    assert found == ["mine", "theirs", "theirs", "given"] and not Path("two.json").exists()


@pytest.mark.slow
def test_a_workspace_shows_the_runs_that_were_chosen_and_each_configuration_by_itself() -> None:
    pytest.importorskip("wandb_workspaces")
    for lr in (0.01, 0.03, 0.1):
        store(Path("runs"), result(lr=lr))
    chosen = ["--where", "optim.lr=0.01,0.03", "--where", "optim=adam", "--where", "status=solved"]
    assert main(["runs", *chosen, "--out", "some.json"]) == 0
    view = json.loads(Path("some.json").read_text())
    (shown,) = view["spec"]["section"]["runSets"]
    filters = [
        (f["key"]["section"], f["key"]["name"], f["op"], f["value"]) for f in shown["filters"]["filters"]
    ]
    assert filters == [
        ("config", "preset.value.task", "IN", ["adding"]),
        ("config", "preset.value.model", "IN", ["lstm"]),
        ("config", "optim.value.lr", "IN", [0.01, 0.03]),
        ("config", "preset.value.optim", "IN", ["adam"]),
        ("summary", "outcome", "IN", ["solved"]),
    ]
    found = panels(view)
    (spans,) = (panel for panel in found["Solved"] if "span" in panel["chartTitle"])
    assert (spans["xAxis"], spans["yAxis"]) == ("summary:span", "summary:solved")
    grouped = {panel["groupBy"] for section in found.values() for panel in section if "groupBy" in panel}
    assert grouped == {"label.value"}


@pytest.mark.slow
def test_the_sweep_of_the_example_is_a_command_line_of_ours() -> None:
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    from seqbench import compose

    sweep = yaml.safe_load(EXAMPLE.read_text())
    values = {"task.length": 50, "model": "gru", "optim.lr": 0.0123, "seed": 2}
    assert {*values} == {*sweep["parameters"]}
    args = create_sweep_command_args({"args": {key: {"value": value} for key, value in values.items()}})
    command = create_sweep_command(sweep["command"])
    macros = {"${env}": ["/usr/bin/env"], "${args_no_hyphens}": args["args_no_hyphens"]}
    words = [word for part in command for word in macros.get(part, [part])]
    assert words[:2] == ["/usr/bin/env", "seqbench"]
    cfg = compose(words[2:])
    assert (cfg.task.length, cfg.preset.model, cfg.optim.lr, cfg.seed) == (50, "gru", 0.0123, 2)
    page = (EXAMPLE.parents[1] / "dashboards.md").read_text()
    shown = page.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(shown)["command"] == sweep["command"]
