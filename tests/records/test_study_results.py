"""A study's tables hold the runs that the study has, whatever else lies in its folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from threetconv import open_study, schemas
from threetconv.errors import InputError
from threetconv.layer.units import IDENTITY
from threetconv.records import study_results
from threetconv.records.parameters import derive, read_parameters
from threetconv.records.study_results import TABLES, StudyResults
from threetconv.report.sections.querying import DUCKDB, PANDAS

KEYS = ["network", "dataset", "init", "recipe"]
LAYER = {"layer_index": 0, "layer": "conv1", "kernel_t": 3, "kernel_hw": 7, "jump": 1}


def save(table: pd.DataFrame, path: Path) -> None:
    """Write a table, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False)


def run(replicate: int, dataset: str = "d", convolution: str = "3t", control: str = "none") -> dict:
    name = f"n-{dataset}-scratch-{convolution}-{control}-r{replicate}"
    cell = {"run_id": name, "network": "n", "dataset": dataset, "init": "scratch"}
    return cell | {"convolution": convolution, "recipe": "paper", "control": control}


def write_parameters(results: Path, of: dict, shift: float = 0.0) -> None:
    rows = pd.DataFrame(
        {
            "run_id": of["run_id"], "step": [0, 0, 9, 9], "epoch": 0,
            "tag": ["init", "init", "best", "best"], **LAYER,
            "channel": [0, 1, 0, 1], "transition": 0, "reachable": [True, False] * 2,
            "scale": np.float32([1, 1, 1.1 + shift, 1]), "rotate": np.float32([0, 0, 0.1, 0]),
            "translate_x": np.float32([0, 0, 0.2, 0]), "translate_y": np.float32([0, 0, 0.3, 0]),
            **{f"{name}_start": np.float32(begin) for name, begin in IDENTITY.items()},
        }
    )  # fmt: skip
    folder = "parameters" if of["control"] == "none" else "control_parameters"
    cell = "/".join(f"{key}={of[key]}" for key in KEYS)
    save(rows, results / folder / cell / f"{of['run_id']}.parquet")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two replicates and a data set "old" were run once; the study has one replicate of "d"."""
    folder = tmp_path / "results o'f {all} *kinds*"
    has = [run(1), run(1, convolution="3d"), run(1, control="static")]
    had = [run(2), run(1, "old"), run(2, control="static")]
    for i, of in enumerate((*has, *had)):
        if of["convolution"] == "3t":
            write_parameters(folder, of, shift=i)
    save(pd.DataFrame(has), folder / "runs.parquet")
    metrics = pd.DataFrame({"run_id": [of["run_id"] for of in (*has, *had)], "value": 1.0})
    save(metrics, folder / "metrics.parquet")  # of an earlier run of the study
    save(pd.DataFrame({"family": ["dataset"], "p": [0.1]}), folder / "tests.parquet")
    return folder


def test_every_table_over_runs_can_be_opened():
    places = {place.removesuffix(".parquet") for place, _ in study_results.TABLES.values()}
    assert places == set(schemas.TABLES) - {"clips", "packed", "preferences", "need", "ruler"}


def test_runs_that_the_study_had_once_are_not_pooled(results):
    study = open_study(results)
    here = [run(1)["run_id"]]
    assert study.parameters["run_id"].unique().tolist() == here
    assert len(study.parameters) == 4
    assert study.files("parameters")[0].stem == here[0]
    assert study.control_parameters["run_id"].unique().tolist() == [
        run(1, control="static")["run_id"]
    ]
    assert study.metrics["run_id"].tolist() == study.runs["run_id"].tolist()
    assert study.tests["p"].tolist() == [0.1]
    for view in ("parameters", "derived"):
        query = f"SELECT DISTINCT run_id, network, dataset, init FROM {view}"
        assert study.sql(query).fetchall() == [(here[0], "n", "d", "scratch")]
    assert study.sql("SELECT count(*) FROM metrics JOIN runs USING (run_id)").fetchall() == [(3,)]


def test_sql_and_dataframes_say_the_same(results):
    study = open_study(results)
    derived = study.sql("SELECT * FROM derived ORDER BY step, channel").df()
    expected = derive(study.parameters).sort_values(["step", "channel"], ignore_index=True)
    pd.testing.assert_frame_equal(
        derived[expected.columns], expected, check_dtype=False, check_categorical=False
    )
    best = read_parameters(study.files("parameters"), tags=["best"])
    assert study.sql("SELECT count(*) FROM parameters WHERE tag = 'best'").fetchall() == [
        (len(best),)
    ]


def test_names_that_look_like_numbers_stay_names(tmp_path):
    of = run(1, "2024")
    save(pd.DataFrame([of]), tmp_path / "runs.parquet")
    write_parameters(tmp_path, of)
    study = open_study(tmp_path)
    assert study.sql("SELECT DISTINCT dataset FROM parameters").fetchall() == [("2024",)]
    assert study.sql("SELECT count(*) FROM parameters JOIN runs USING (dataset)").fetchall() == [
        (4,)
    ]


def test_what_is_there_is_listed(results):
    study = open_study(results)
    there = {"runs", "metrics", "parameters", "control_parameters", "tests"}
    assert set(study.tables()) == there
    assert there <= set(dir(study))
    assert "3 runs" in repr(study)
    assert not set(TABLES) & set(vars(StudyResults))
    with pytest.raises(AttributeError, match="no table 'run'; there are runs, metrics"):
        study.run  # noqa: B018
    with pytest.raises(InputError, match=r"summaries\.parquet"):
        study.summaries  # noqa: B018
    with pytest.raises(InputError, match="did you mean 'metrics'"):
        study.files("metric")


def test_a_table_that_lacks_a_run_is_not_there(results):
    """Half of the runs would be pooled without a word."""
    runs = pd.concat([open_study(results).runs, pd.DataFrame([run(3)])], ignore_index=True)
    save(runs, results / "runs.parquet")
    study = open_study(results)
    assert "parameters" not in study.tables()
    with pytest.raises(InputError, match=r"r3\.parquet"):
        study.parameters  # noqa: B018
    with pytest.raises(InputError, match="derived does not exist"):
        study.sql("SELECT * FROM derived")


def test_a_query_that_fails_names_the_views(results):
    with pytest.raises(InputError, match="SQL on runs, metrics") as caught:
        open_study(results).sql("SELECT nothing FROM runs")
    assert '"nothing" not found' in caught.value.found


@pytest.mark.parametrize("content", [None, b"", b"no table", "other", "folder"])
def test_a_folder_that_is_no_study(tmp_path, content):
    file = tmp_path / "runs.parquet"
    if content == "other":
        save(pd.DataFrame({"run_id": ["a"]}), file)
    elif content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match="the table of a study's runs") as caught:
        open_study(tmp_path)
    assert caught.value.found
    assert "results/<study>" in caught.value.remedy


def test_without_duckdb_the_tables_are_dataframes(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    study = open_study(results)
    assert len(study.parameters) == 4
    with pytest.raises(InputError, match="pip install duckdb"):
        study.sql("SELECT 1")


def test_torch_and_duckdb_wait_until_they_are_needed(results):
    code = (
        "import sys, threetconv; threetconv.open_study(sys.argv[1]).parameters;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'duckdb')))"
    )
    assert subprocess.run([sys.executable, "-c", code, results], check=False).returncode == 0


def test_the_snippets_of_the_report_run_as_they_stand(results, monkeypatch, capsys):
    monkeypatch.chdir(results.parent)
    place: dict = {}
    exec(PANDAS.format(results=results.name), place)
    assert "scratch" in capsys.readouterr().out
    imports, _, query = DUCKDB.format(results=results.name).partition("\n\n")
    exec(imports, place)
    (row,) = eval(query, place).fetchall()
    best = derive(open_study(results).parameters.query("tag == 'best'"))
    assert row[:3] == ("n", "d", "scratch")
    assert row[3:] == pytest.approx(
        [1000 * best["paper_s"].mean(), 1000 * best["paper_s"].std(ddof=0), 0.5]
    )
