"""A toy of the planted study, from rendered shapes to the table motion x parameter."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from threetconv.support.files import read_parquet

ROOT = Path(__file__).resolve().parents[2]


def toy(motion: str) -> dict:
    return {
        "adapter": "folder",
        "clip": {"frames": 8, "height": 16, "width": 16},
        "render": {
            "set": "planted",
            "motion": motion,
            "clips": {"train": 12, "val": 12},
            "frames": [8, 8],
            "size": [16, 16],
        },
    }


@pytest.fixture(scope="module")
def study() -> dict:
    """The shipped study with everything made small."""
    shipped = yaml.safe_load((ROOT / "workflow/studies/planted.yaml").read_text())
    variants = [v for v in shipped["variants"] if v.get("control", "none") in ("none", "static")]
    return shipped | {
        "replicates": 2,
        "need": {"layers": True},
        "width": 0.0625,
        "variants": variants,
        "datasets": {
            name: toy(dataset["render"]["motion"])
            for name, dataset in shipped["datasets"].items()
            if name in ("translation", "still")
        },
        "training": shipped["training"]
        | {"epochs": 1, "batch_size": 6, "snapshot_every": 1, "runs_per_job": 2},
        "statistics": {"calibration_replicates": 20, "bootstrap_resamples": 100},
    }


@pytest.mark.slow
def test_from_shapes_to_the_table_of_motions(study: dict, snakemake, tmp_path: Path) -> None:
    config = tmp_path / "toy.yaml"
    config.write_text(yaml.safe_dump(study))
    done = snakemake(tmp_path, "--configfile", str(config))
    assert done.returncode == 0, done.stderr[-6000:]
    results = tmp_path / "results/planted"
    table = read_parquet(results / "planted.parquet")
    assert set(table["motion"]) == {"translation", "none"}
    assert set(table["parameter"]) == {"s", "r", "px", "py"}
    expected = table[table["expected"]]
    assert set(expected["parameter"]) == {"px", "py"}
    assert set(expected["motion"]) == {"translation"}
    assert set(table["layer_index"]) == {-1, 0}
    controls = table[table["comparison"] == "static"]
    assert (controls["status"] == "untestable").all()  # two runs an arm
    assert not (table["recovered"] == "yes").any()
    alignment = read_parquet(results / "alignment.parquet")
    assert {"right - left", "up - down"} <= set(alignment["axis"])
    tuning = read_parquet(results / "planted_tuning.parquet")
    assert set(tuning["layer_index"]) == {-1, 0}
    assert set(tuning.loc[tuning["expected"], "parameter"]) == {"direction_x", "direction_y"}
    where = read_parquet(results / "planted_where.parquet")
    assert where["parameter"].tolist() == ["px", "py"]
    assert set(where["lost"]) == {"unknown"}  # there are no label-shuffled runs
    assert (where["layer"] != "").all()
    page = (tmp_path / "reports/planted/report.html").read_text()
    assert "Planted truth" in page
    assert "Where it is lost is not known" in page


@pytest.mark.slow
def test_one_run_of_one_data_set_and_its_control_reach_a_report(
    study: dict, snakemake, tmp_path: Path
) -> None:
    """Nothing can be tested and no interval formed: whole columns of tables are empty."""
    config = tmp_path / "one.yaml"
    datasets = {"translation": study["datasets"]["translation"]}
    config.write_text(yaml.safe_dump(study | {"replicates": 1, "datasets": datasets}))
    done = snakemake(tmp_path, "--configfile", str(config))
    assert done.returncode == 0, done.stderr[-6000:]
    results = tmp_path / "results/planted"
    for file in results.rglob("*.parquet"):
        assert not any(pa.types.is_null(field.type) for field in pq.read_schema(file)), file
    tests = read_parquet(results / "tests.parquet")
    assert set(tests["status"]) == {"untestable"}
    assert tests["ci_low"].isna().all()
    page = (tmp_path / "reports/planted/report.html").read_text()
    assert "Noise floor and controls" in page
    figure = results / "figures/moving-start/effects.svg"
    assert figure.read_text().startswith("<?xml")
