"""Arms and blocks of F1 and F2, and parameter files read run by run."""

from __future__ import annotations

import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.statistics.tests import arms


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


def test_blocks_and_arms_of_both_families(study):
    first, second = arms.compare(study.runs)
    assert (first.family, first.contrast) == ("F1", "gestures / scenes")
    assert (second.family, second.contrast) == ("F2", "scratch / pretrained")
    assert [block.block for block in second.blocks] == [
        "googlenet, gestures", "googlenet, scenes", "resnet18, gestures", "resnet18, scenes",
    ]  # fmt: skip
    block = first.blocks[1]
    assert block.block == "googlenet, scratch"
    assert block.a == tuple(f"googlenet-gestures-scratch-3t-r{i}" for i in (1, 2, 3))
    assert block.b == tuple(f"googlenet-scenes-scratch-3t-r{i}" for i in (1, 2, 3))
    assert [name for name, _ in first.strata] == ["all", *(b.block for b in first.blocks)]
    assert len({name for b in first.blocks for name in b.run_ids}) == 24


def test_the_order_of_the_lines_does_not_matter(study):
    assert arms.compare(study.runs.sample(frac=1, random_state=3)) == arms.compare(study.runs)


def test_replicates_are_in_numerical_order(make_study):
    runs = make_study(k=11, layers=((3, 2),)).runs
    assert [name[-3:].strip("-") for name in arms.compare(runs)[0].blocks[0].a] == [
        *(f"r{i}" for i in range(1, 10)), "r10", "r11",
    ]  # fmt: skip


def test_datasets_choose_and_order_the_contrast_of_f1(study):
    first, second = arms.compare(study.runs, datasets=("scenes", "gestures"))
    assert (first.contrast, second.contrast) == ("scenes / gestures", "scratch / pretrained")
    more = pd.concat([study.runs, study.runs.head(1).assign(run_id="x", dataset="other")])
    assert len(arms.compare(more, ("F1",))) == 3
    assert len(arms.compare(more, ("F1",), ("gestures", "scenes"))) == 1


def test_a_family_without_two_arms_is_refused(study):
    with pytest.raises(InputError, match="F1, F2"):
        arms.compare(study.runs, ("F3",))


def test_blocks_with_one_arm_are_named(study):
    runs = study.runs[~study.runs["run_id"].str.startswith("resnet18-scenes-scratch")]
    blocks = arms.compare(runs)[0].blocks
    whole, notes = arms.complete(blocks)
    assert [block.block for block in whole] == [
        "googlenet, pretrained", "googlenet, scratch", "resnet18, pretrained",
    ]  # fmt: skip
    assert notes == ["block resnet18, scratch left out: runs of one arm only"]


def test_reachable_rows_of_the_best_checkpoint_run_by_run(study, tmp_path):
    paths = write(study.parameters, tmp_path)
    read = list(arms.read_best(reversed(paths), study.runs, ["scale"]))
    assert [run.run_id for run in read] == sorted(study.runs["run_id"])
    for run in read:
        rows = study.parameters[study.parameters["run_id"] == run.run_id]
        assert run.frame.columns.tolist() == ["scale"]
        assert run.frame["scale"].tolist() == rows.loc[rows["reachable"], "scale"].tolist()
        assert f"{run.network}-{run.dataset}-{run.init}-3t" in run.run_id


def test_controls_and_3d_runs_are_skipped(study, tmp_path):
    paths = write(study.parameters, tmp_path)
    runs = study.runs.assign(control=["static", *["none"] * 23], convolution=["3t"] * 23 + ["3d"])
    read = [run.run_id for run in arms.read_best(paths, runs, ["scale"])]
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
        list(arms.read_best([path], None, ["scale"]))


def test_a_run_may_come_once(study, tmp_path):
    paths = write(study.parameters, tmp_path)
    with pytest.raises(InputError, match="once"):
        list(arms.read_best([paths[0], paths[0]], None, ["scale"]))
