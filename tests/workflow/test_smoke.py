"""The smoke study, run for real from videos to report."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from threetconv.records.parameters import read_parameters
from threetconv.records.plan import plan_runs
from threetconv.schemas import TABLES
from threetconv.schemas.runs import PARAMETERS as SCHEMA
from threetconv.support.files import read_parquet

ROOT = Path(__file__).resolve().parents[2]
STUDY = str(ROOT / "workflow/studies/smoke.yaml")
pytestmark = pytest.mark.timeout(1800)  # the study runs beside the other tests


@pytest.fixture(scope="module")
def results(smoke: Path) -> Path:
    return smoke / "results/smoke"


@pytest.fixture(scope="module")
def config(results: Path) -> dict:
    return yaml.safe_load((results / "run_config.yaml").read_text())


def test_nothing_is_left_to_do(smoke, snakemake):
    again = snakemake(smoke, "--configfile", STUDY, "--dry-run")
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr


def planned(done) -> list[str]:
    """Rule names of the jobs of a dry run, one for each job."""
    return re.findall(r"(?m)^(?:local)?rule (\w+):", done.stdout + done.stderr)


def table_of(file: Path) -> str:
    """The name in `TABLES` of a file below the results."""
    folder, *rest = file.with_suffix("").parts
    if folder == "runs" and rest:
        return rest[-1]
    if folder == "explanations":
        return f"explanations/{rest[-1]}"
    if folder == "tuning":
        return "/".join([folder, *rest[:-1]])
    kept = {"clips", "packed", "preferences", "need", "ruler", "parameters", "control_parameters"}
    return folder if folder in kept else "/".join([folder, *rest])


def test_every_table_has_the_columns_that_are_declared(results):
    files = sorted(results.rglob("*.parquet"))
    for file in files:
        declared = TABLES[table_of(file.relative_to(results))]
        assert pq.read_schema(file).equals(declared, check_metadata=True), file
    seen = {table_of(file.relative_to(results)) for file in files}
    planted = {"planted", "planted_layers", "planted_tuning", "planted_where", "alignment"}
    assert seen == set(TABLES) - planted


def tables_in_docs() -> list[str]:
    """Patterns of the files that docs/tables.md names."""
    found = []
    for line in (ROOT / "docs/tables.md").read_text().splitlines():
        if line.startswith("| `results/"):
            names = re.findall(r"`([^`]+)`", line.split("|")[1])
            folder = names[0].rpartition("/")[0]
            found += [n if n.startswith("results/") else f"{folder}/{n}" for n in names]
    return [n.replace("<run>", "*").replace("/...", "/**/*.parquet") for n in found]


def test_whatever_the_docs_name_is_made_again_when_it_is_deleted(smoke, results, snakemake):
    patterns = tables_in_docs()
    assert len(patterns) >= 15
    done = snakemake(smoke, "--configfile", STUDY, "--dry-run", "--force", "all")
    wanted = re.search(r"(?ms)^(?:local)?rule all:\n    input: (.*?)$", done.stdout + done.stderr)
    targets = {smoke / name for name in wanted[1].split(", ")}
    for pattern in patterns:
        files = set(results.glob(pattern.removeprefix("results/")))
        assert files, pattern
        assert files <= targets, pattern
    gone = [results / "bootstrap.parquet", results / "snapshots.parquet"]
    gone.append(next(results.glob("control_parameters/**/*.parquet")))
    for file in gone:
        file.rename(file.with_suffix(".aside"))
    try:
        rules = planned(snakemake(smoke, "--configfile", STUDY, "--dry-run"))
    finally:
        for file in gone:
            file.with_suffix(".aside").rename(file)
    assert {"descriptions", "runs", "parameters"} <= set(rules)
    assert rules.count("parameters") == 1
    assert not {"train", "explain"} & set(rules)


def test_more_replicates_leave_old_runs_alone(smoke, snakemake):
    done = snakemake(smoke, "--configfile", STUDY, "--config", "replicates=3", "--dry-run")
    assert done.returncode == 0, done.stderr[-3000:]
    rules, text = planned(done), done.stdout + done.stderr
    assert rules.count("train") == 14
    assert rules.count("parameters") == 8 + 2
    assert "explain" not in rules  # only first runs are explained
    for rule in ("train", "parameters"):
        of_rule = re.findall(rf"(?ms)^rule {rule}:$.*?run_id=([\w-]+)", text)
        assert len(of_rule) == rules.count(rule)
        assert all(run_id.endswith("-r3") for run_id in of_rule)


def test_a_changed_setting_reaches_its_tables_at_once(smoke, snakemake, tmp_path):
    """The analysis plan is written anew, too: that may not hide what else has to be."""
    study = yaml.safe_load((ROOT / STUDY).read_text())
    study["statistics"]["alpha"] = 0.01
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(study))
    rules = set(planned(snakemake(smoke, "--configfile", str(changed), "--dry-run")))
    assert {"analysis_plan", "tests", "need_tables", "study_report"} <= rules
    assert not {"train", "parameters", "summaries"} & rules
    fewer = snakemake(smoke, "--configfile", STUDY, "--config", "replicates=1", "--dry-run")
    assert {"analysis_plan", "runs", "summaries", "study_report"} <= set(planned(fewer))
    assert "train" not in planned(fewer)


def test_every_run_has_its_files(results, config):
    expected = [run.run_id for run in plan_runs(config)]
    assert read_parquet(results / "runs.parquet")["run_id"].tolist() == expected
    for run_id in expected:
        names = {path.name for path in (results / "runs" / run_id).iterdir()}
        files = {"best.safetensors", "snapshots.safetensors", "metrics.parquet", "run.json"}
        assert names == files | {"README.md"}
        log = (results / f"logs/train/{run_id}.log").read_text()
        epochs = config["training"]["epochs"]
        assert len(re.findall(r"epoch \d+/\d+ +update", log)) == epochs


def test_parameter_table_is_whole(results):
    files = sorted(results.glob("parameters/*/*/*/*/*.parquet"))
    table = read_parameters(files)
    assert set(SCHEMA.names) <= set(table.columns)
    runs = read_parquet(results / "runs.parquet").set_index("run_id")
    three_t = runs[(runs["convolution"] == "3t") & (runs["control"] == "none")]
    assert set(table["run_id"]) == set(three_t.index)
    per_snapshot = table.groupby(["run_id", "step", "tag"]).size()
    for (run_id, _, _), rows in per_snapshot.items():
        assert rows * 4 == three_t.loc[run_id, "n_temporal"]
    tags = table.groupby("run_id")["tag"].agg(set)
    assert all({"init", "best", "last"} <= found for found in tags)
    first = table[table["tag"] == "init"]
    assert (first["scale"] == 1).all()
    assert (first[["rotate", "translate_x", "translate_y"]] == 0).all(axis=None)
    last = table[table["tag"] == "last"]
    assert (last.loc[last["reachable"], "scale"] != 1).mean() > 0.5
    still = last.loc[~last["reachable"], ["scale", "rotate", "translate_x", "translate_y"]]
    assert len(still) > 0
    assert (still == [1, 0, 0, 0]).all(axis=None)


def test_controls_are_kept_apart(results):
    """Whoever reads `parameters` gets real runs only; the controls are summarised and tested."""
    table = read_parameters(sorted(results.glob("control_parameters/*/*/*/*/*.parquet")))
    runs = read_parquet(results / "runs.parquet").set_index("run_id")
    controls = runs.index[runs["control"] == "static"]
    assert set(table["run_id"]) == set(controls)
    assert len(controls) == 4
    summaries = read_parquet(results / "summaries.parquet")
    assert set(summaries.loc[summaries["run_id"].isin(controls), "control"]) == {"static"}
    tests = read_parquet(results / "tests.parquet")
    lines = tests[tests["family"] == "controls"]
    assert set(lines["contrast"]) == {"none / static"}
    accuracy = read_parquet(results / "tables/accuracy_of_controls.parquet")
    assert set(accuracy["control"]) == {"static"}
    assert set(read_parquet(results / "tables/accuracy.parquet")["control"]) == {"none"}


def test_duckdb_reads_the_hive_folders(results):
    query = f"""
        SELECT network, dataset, init, count(DISTINCT run_id) AS runs
        FROM read_parquet('{results}/parameters/**/*.parquet', hive_partitioning = true)
        GROUP BY ALL
    """
    cells = duckdb.sql(query).df()
    assert len(cells) == 8
    assert (cells["runs"] == 2).all()


def test_summaries_follow_from_the_parameters(results):
    summaries = read_parquet(results / "summaries.parquet")
    table = read_parameters(sorted(results.glob("parameters/*/*/*/*/*.parquet")), tags=["best"])
    wanted = (
        table.astype({"scale": np.float64})
        .groupby("run_id")["scale"]
        .agg(lambda s: float(np.abs(1 - np.abs(1 / s.to_numpy(np.float64))).mean()))
    )
    lines = summaries[
        (summaries["tag"] == "best")
        & (summaries["scope"] == "model")
        & (summaries["rows"] == "all")
        & (summaries["weighting"] == "pooled")
        & (summaries["parameter"] == "s")
        & (summaries["control"] == "none")
    ].set_index("run_id")
    pd.testing.assert_series_equal(
        lines["mu_paper"].sort_index(),
        wanted.sort_index(),
        check_names=False,
        check_dtype=False,
        rtol=1e-6,
    )


def test_tests_are_families_of_runs(results):
    tests = read_parquet(results / "tests.parquet")
    assert set(tests["family"]) == {"dataset", "init", "dataset x init", "controls"}
    assert set(tests["checkpoint"]) == {"best", "matched"}
    assert set(tests["unit"]) == {"run"}
    assert set(tests.loc[tests["family"] == "dataset", "contrast"]) == {"gestures / scenes"}
    blocks = tests[(tests["stratum"] != "all") & (tests["scope"] == "model")]
    assert (blocks["status"] == "untestable").all()  # two runs an arm cannot reach 0.05
    assert blocks["p_adjusted"].isna().all()
    layers = tests[tests["scope"] == "layer"]
    assert set(layers["stratum"]) == {"resnet18", "googlenet"}
    assert tests.loc[tests["status"] != "ok", "reason"].ne("").all()


def test_matched_tests_compare_equal_updates(results):
    """The confirmatory ratio of the datasets by hand, at the last common step."""
    summaries = read_parquet(results / "summaries.parquet")
    lines = summaries[
        (summaries["control"] == "none")
        & summaries["tag"].isin(["snapshot", "last"])
        & (summaries["scope"] == "model")
        & (summaries["rows"] == "reachable")
        & (summaries["weighting"] == "pooled")
        & (summaries["parameter"] == "s")
    ]
    step = min(lines.groupby("run_id")["step"].max())
    at = lines[lines["step"] == step].drop_duplicates("run_id")
    means = at.groupby(["dataset", "network", "init"])["log_mean_abs"].mean()
    ratio = np.exp((means["gestures"] - means["scenes"]).mean())
    tests = read_parquet(results / "tests.parquet")
    found = tests[
        (tests["family"] == "dataset")
        & (tests["checkpoint"] == "matched")
        & (tests["stratum"] == "all")
        & (tests["scope"] == "model")
        & (tests["parameter"] == "s")
    ]
    assert found["estimate"].item() == pytest.approx(ratio, rel=1e-12)


def test_the_same_question_is_asked_in_other_ways(results):
    table = read_parquet(results / "sensitivity.parquet")
    assert set(table["unit"]) == {"run", "run x layer"}
    assert table["method"].str.startswith("TOST").any()
    assert "px, py" in set(table["parameter"])
    assert (read_parquet(results / "distances.parquet")["unit"] == "row").all()
    profile = read_parquet(results / "layer_profile.parquet")
    assert set(profile["control"]) == {"none", "static"}
    calibration = read_parquet(results / "calibration.parquet")
    assert set(calibration["quantity"]) == {"type I error", "power", "coverage"}
    assert set(calibration["network"]) == {"resnet18", "googlenet"}


def test_report_is_whole_and_needs_no_network(smoke, results):
    page = (smoke / "reports/smoke/report.html").read_text()
    assert not re.search(r"""(?:src|href)=["']https?://""", page)
    accuracy = read_parquet(results / "tables/accuracy.parquet")
    for value in accuracy["accuracy_mean"]:
        assert f"{value:.1f}" in page
    assert f"{int(accuracy['n_parameters'].iloc[0]):,}" in page
    assert (smoke / "reports/smoke/report.pdf").read_bytes().startswith(b"%PDF")


def test_short_clips_are_named_in_the_log(results):
    log = (results / "logs/pack_clips/gestures.log").read_text()
    assert re.search(r"\d+ frames where 8 are wanted; its last frame is repeated \d+ times", log)


def test_channels_are_explained(smoke, results, config):
    runs = read_parquet(results / "runs.parquet").set_index("run_id")
    explained = [p.name for p in sorted((results / "explanations").iterdir()) if p.is_dir()]
    first = runs[(runs["replicate"] == 1) & (runs["control"] == "none")]
    assert explained == sorted(first.index[first["network"] == "resnet18"])
    images = read_parquet(results / "explanations/images.parquet")
    assert set(images["run_id"]) == set(explained)
    for file, height, width in images[["file", "height", "width"]].itertuples(index=False):
        with Image.open(results / "explanations" / file) as picture:
            assert picture.size == (width, height)
    channels = read_parquet(results / "explanations/channels.parquet")
    of_3t = [run_id for run_id in explained if runs.loc[run_id, "convolution"] == "3t"]
    assert set(channels["run_id"]) == set(of_3t)
    assert channels["sentence"].str.len().gt(10).all()
    drops = read_parquet(results / "explanations/faithfulness.parquet")
    assert set(drops["run_id"]) == set(explained)
    page = (smoke / "reports/smoke/explorer.html").read_text()
    assert all(run_id in page for run_id in explained)
    assert "What channels learned" in (smoke / "reports/smoke/report.html").read_text()


def test_test_clips_are_measured_once_and_reported(results):
    """Scenes have UCF101's layout: groups are held out, and its test list chooses nothing."""
    metrics = read_parquet(results / "metrics.parquet")
    tested = metrics[metrics["split"] == "test"]
    assert tested["run_id"].str.contains("scenes").all()
    assert tested.groupby(["run_id", "metric"]).size().eq(1).all()
    accuracy = read_parquet(results / "tables/accuracy.parquet").set_index("dataset")
    assert accuracy.loc["scenes", "test_mean"].notna().all()
    assert accuracy.loc["gestures", "test_mean"].isna().all()


@pytest.mark.parametrize("name", ["query_parameters", "explain_a_channel"])
def test_notebooks_ran_to_their_end(results, name):
    notebook = json.loads((results / f"notebooks/{name}.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(out["output_type"] == "error" for cell in cells for out in cell["outputs"])
    assert any("image/png" in json.dumps(cell["outputs"]) for cell in cells)


def test_a_run_repeats_exactly(smoke, results, snakemake):
    run_id = "googlenet-gestures-scratch-3t-r2"
    folder = results / "runs" / run_id
    before = json.loads((folder / "run.json").read_text())["run"]["weights_sha256"]
    kept = (folder / "snapshots.safetensors").read_bytes()
    shutil.rmtree(folder)
    done = snakemake(
        smoke, "--configfile", STUDY, "--", str(folder.relative_to(smoke) / "run.json")
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((folder / "run.json").read_text())["run"]["weights_sha256"] == before
    assert (folder / "snapshots.safetensors").read_bytes() == kept


def test_snakemake_report_labels_every_output(smoke, snakemake):
    done = snakemake(smoke, "--configfile", STUDY, "--report", "workflow.html")
    assert done.returncode == 0, done.stderr[-3000:]
    page = (smoke / "workflow.html").read_text()
    for label in (
        "effects",
        "densities",
        "calibration",
        "displacement by depth",
        "clips",
        "query_parameters",
        "tables/displacement",
    ):
        assert label in page
