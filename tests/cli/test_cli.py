"""The command line: several values after one option, tables, messages without tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import threetconv
from threetconv.cli.app import app
from threetconv.cli.options import spread
from threetconv.support.files import read_parquet

POWER = ["power", "--networks", "resnet18", "googlenet", "--replicates", "60"]


@pytest.fixture
def run(monkeypatch):
    """Invoke the command on a wide screen."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def flat(text: str) -> str:
    """Without line breaks, which depend on the screen."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--seeds 3 5 8 --effect 1.25", "--seeds 3 --seeds 5 --seeds 8 --effect 1.25"),
        ("--seeds 3 --seeds 5", "--seeds 3 --seeds 5"),
        ("--seeds=3 5 --effect=2", "--seeds=3 --seeds 5 --effect=2"),
        ("--effect 1.25 7 --seeds 3", "--effect 1.25 7 --seeds 3"),
        ("--seeds -1 2", "--seeds -1 --seeds 2"),
        ("--seeds", "--seeds"),
        ("", ""),
    ],
)
def test_spread(given, expected):
    assert spread(given.split(), {"--seeds"}) == expected.split()


def test_version(run):
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"threetconv {threetconv.__version__}\n")


def test_help_names_the_commands_and_options(run):
    assert run().exit_code != 0
    everything = run("--help").stdout
    assert "power" in everything
    assert "calibrate" in everything
    assert "--from-results" in run("power", "--help").stdout
    assert "--workers" in run("calibrate", "--help").stdout
    assert "--quick" in run("data", "check", "--help").stdout
    assert "--step-time" in run("estimate", "--help").stdout


def test_power_prints_a_table_and_sentences(run):
    result = run(*POWER, "--seeds", 3, 5, "--effect", 1.3, "--tau", 0.2)
    assert result.exit_code == 0, result.output
    text = flat(result.stdout)
    assert "Power to find a ratio of 1.3" in text
    assert "dataset (all blocks)" in text
    assert "untestable" in text
    assert "5 seeds per cell, 40 runs: a ratio of 1.3 is found by dataset (all blocks) in" in text
    assert "runs, untestable: dataset or init (one block): the smallest attainable p is 0.1" in text
    assert "Seeds of these that give 80 % power: dataset (all blocks):" in text
    assert "0.2 log units (as given)" in text


def test_several_values_may_also_be_given_one_by_one(run):
    apart = run("power", "--networks", "resnet18", "--networks", "googlenet", "--replicates", 60)
    together = run(*POWER)
    assert apart.exit_code == together.exit_code == 0
    assert apart.stdout == together.stdout
    assert "8 seeds per cell" in flat(together.stdout)


def test_power_writes_its_table(run, tmp_path):
    result = run(*POWER, "--seeds", 3, "--csv", tmp_path / "p.csv", "--json", tmp_path / "p.json")
    assert result.exit_code == 0, result.output
    csv = pd.read_csv(tmp_path / "p.csv")
    records = json.loads((tmp_path / "p.json").read_text())
    assert (
        csv["family"].tolist()
        == [r["family"] for r in records]
        == ["dataset", "init", "dataset or init", "dataset x init", "dataset", "init"]
    )
    assert csv["power"].tolist() == pytest.approx([r["power"] for r in records])


def test_power_takes_its_spread_from_results(run, tmp_path):
    parameters, n = ["s", "r", "px", "py"], 2
    ids = [f"n-d-scratch-3t-r{i}" for i in range(n)]
    table = pd.DataFrame(
        {
            "run_id": np.repeat(ids, 4), "network": "n", "dataset": "d", "init": "scratch",
            "tag": "best", "scope": "model", "rows": "reachable", "weighting": "pooled",
            "parameter": parameters * n, "log_mean_abs": np.repeat([0.0, 0.3], 4),
        }
    )  # fmt: skip
    table.to_parquet(tmp_path / "summaries.parquet", index=False)
    lacking = run(*POWER, "--from-results", tmp_path)
    assert lacking.exit_code == 1
    assert "runs.parquet" in lacking.stderr
    runs = pd.DataFrame({"run_id": ids, "convolution": "3t", "control": "none"})
    runs.to_parquet(tmp_path / "runs.parquet", index=False)
    result = run(*POWER, "--from-results", tmp_path)
    assert result.exit_code == 0, result.output
    assert f"{0.3 / np.sqrt(2):.3g} log units (estimated from" in flat(result.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["power", "--networks", "resnet81"], "did you mean 'resnet18'?"),
        (["power", "--networks", "resnet18", "--effect", "1"], "a ratio of mean displacements"),
        (["power", "--networks", "resnet18", "--seeds", "-1"], "whole numbers of at least 1"),
        (["power", "--networks", "resnet18", "--tau", "1", "--from-results", "x"], "found: both"),
        (["calibrate", "--networks", "vgg"], "one of googlenet, resnet18"),
        (["calibrate", "--clip-shape", "30x150"], "frames x height x width"),
        (["calibrate", "--from-results", "nowhere"], "the table of a study's runs"),
    ],
)
def test_wrong_input_is_explained_without_a_traceback(run, arguments, message):
    result = run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert message in flat(result.stderr)
    assert "Traceback" not in result.output


def test_torch_is_not_loaded_before_a_layout_is_built():
    code = (
        "import sys\nfrom threetconv.cli.app import app\n"
        "try:\n    app(['power', '--networks', 'resnet18', '--replicates', '9', '--seeds', '3'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'statsmodels', 'scipy.stats')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_options_are_refused(run):
    assert run("power", "--networks", "resnet18", "--seed-count", "3").exit_code == 2
    assert run("power").exit_code == 2


@pytest.fixture
def results(tmp_path):
    """A results folder with the parameters of one run of one small network."""
    folder = (
        tmp_path / "parameters" / "network=tiny" / "dataset=d" / "init=scratch" / "recipe=paper"
    )
    layers = [("stem", 30, 6), ("last", 40, 2)]
    frames = [
        pd.DataFrame(
            {
                "layer_index": i, "layer": name, "channel": np.tile(np.arange(channels), steps),
                "transition": np.repeat(np.arange(steps), channels), "reachable": True,
            }
        )
        for i, (name, channels, steps) in enumerate(layers)
    ]  # fmt: skip
    folder.mkdir(parents=True)
    run = {
        "run_id": "tiny-d-scratch-3t-r1", "network": "tiny", "dataset": "d", "init": "scratch",
        "convolution": "3t", "recipe": "paper", "control": "none",
    }  # fmt: skip
    pd.DataFrame([run]).to_parquet(tmp_path / "runs.parquet", index=False)
    pd.concat(frames).to_parquet(folder / "tiny-d-scratch-3t-r1.parquet", index=False)
    # of a run that the study had once, with another layout
    other = tmp_path / "parameters/network=tiny/dataset=d/init=pretrained/recipe=paper"
    other.mkdir(parents=True)
    frames[0].to_parquet(other / "tiny-d-pretrained-3t-r1.parquet", index=False)
    return tmp_path


def test_calibrate_prints_and_writes_the_table(run, results, tmp_path):
    out = tmp_path / "calibration.parquet"
    arguments = ["calibrate", "--from-results", results, "--replicates", 5, "--workers", 1]
    result = run(*arguments, "--out", out)
    assert result.exit_code == 0, result.output
    text = flat(result.stdout)
    assert "tiny: 260 reachable rows in 2 layers" in text
    assert text.index("Kolmogorov-Smirnov") < text.index("Welch t on D")
    assert "coverage of 95 % intervals" in text
    table = read_parquet(out)
    assert set(table["network"]) == {"tiny"}
    assert set(table.loc[table["unit"] == "row", "n_replicates"]) == {5}
    assert "5 simulated studies per network" in text


def test_calibrate_names_the_network_without_parameters(run, results):
    result = run("calibrate", "--from-results", results, "--networks", "resnet18")
    assert result.exit_code == 1
    assert "no parameters of resnet18" in result.stderr
