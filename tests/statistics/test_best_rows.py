"""Parameter files read run by run, the best checkpoint's reachable rows."""

from __future__ import annotations

import pytest

from threetconv.errors import InputError
from threetconv.statistics.summaries.best_rows import read_best


def write(table, folder):
    """The parameter files of a study; returns their paths."""
    paths = []
    for (run_id, *keys), rows in table.groupby(["run_id", "network", "dataset", "init"]):
        path = folder.joinpath(
            *(f"{k}={v}" for k, v in zip(("network", "dataset", "init"), keys, strict=True))
        )
        path.mkdir(parents=True, exist_ok=True)
        rows.drop(columns=["network", "dataset", "init"]).to_parquet(path / f"{run_id}.parquet")
        paths.append(path / f"{run_id}.parquet")
    return paths


def test_reachable_rows_of_the_best_checkpoint_run_by_run(study, tmp_path):
    paths = write(study.parameters, tmp_path)
    read = list(read_best(reversed(paths), study.runs, ["scale"]))
    assert [run.run_id for run in read] == sorted(study.runs["run_id"])
    for run in read:
        rows = study.parameters[study.parameters["run_id"] == run.run_id]
        assert run.frame.columns.tolist() == ["scale"]
        assert run.frame["scale"].tolist() == rows.loc[rows["reachable"], "scale"].tolist()
        assert f"{run.network}-{run.dataset}-{run.init}-3t" in run.run_id


def test_controls_and_3d_runs_are_skipped(study, tmp_path):
    paths = write(study.parameters, tmp_path)
    runs = study.runs.assign(control=["static", *["none"] * 23], convolution=["3t"] * 23 + ["3d"])
    read = [run.run_id for run in read_best(paths, runs, ["scale"])]
    assert sorted(read) == sorted(study.runs["run_id"].iloc[1:-1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.assign(tag="last"), "no rows of a best checkpoint"),
        (lambda table: table.assign(reachable=False), "no reachable row"),
        (lambda table: table.assign(run_id=["a", *["b"] * (len(table) - 1)]), "rows of a, b"),
    ],
)
def test_files_that_make_no_sense_are_refused(study, tmp_path, change, words):
    one = study.parameters[study.parameters["run_id"] == study.runs["run_id"][0]]
    (path,) = write(one, tmp_path)
    changed = change(one.drop(columns=["network", "dataset", "init"]))
    changed.to_parquet(path)
    with pytest.raises(InputError, match=words):
        list(read_best([path], None, ["scale"]))


def test_a_run_may_come_once(study, tmp_path):
    paths = write(study.parameters, tmp_path)
    with pytest.raises(InputError, match="once"):
        list(read_best([paths[0], paths[0]], None, ["scale"]))
