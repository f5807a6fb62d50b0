"""Summaries of files against an independent computation; order, files, workers do not matter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from threetconv.errors import InputError
from threetconv.schemas.runs import PARAMETERS as SCHEMA
from threetconv.statistics.summaries.moments import CHUNK, layouts, statistics
from threetconv.statistics.summaries.summarise import COLUMNS, summarise, summarise_files
from threetconv.support.files import write_parquet

from ..builders.parameter_rows import completed

RAW = ("scale", "rotate", "translate_x", "translate_y")
Z = {
    "s": ("scale", lambda v: -np.log(np.abs(v))),
    "r": ("rotate", lambda v: -v),
    "px": ("translate_x", lambda v: -v / 2),
    "py": ("translate_y", lambda v: v / 2),
}
KEYS = ["run_id", "step", "tag", "scope", "layer_index", "parameter", "rows", "weighting"]


def write_run(table, folder, run_id):
    """One run's file in the study's layout; columns that nobody reads are made up."""
    one = table[table["run_id"] == run_id]
    path = folder / f"{run_id}.parquet"
    write_parquet(completed(one), path, SCHEMA)
    return path


@pytest.fixture
def files(study, tmp_path):
    return [write_run(study.parameters, tmp_path, run) for run in study.runs["run_id"]]


def numbers(raw, parameter):
    """Every statistic of one group, by numpy and scipy's textbook functions."""
    column, transform = Z[parameter]
    values = raw[column].to_numpy(np.float64)
    z = transform(values)
    paper = np.abs(1 - np.abs(1 / values)) if parameter == "s" else np.abs(z)
    size = np.abs(z)
    constant = (z == z[0]).all()
    with np.errstate(divide="ignore"):
        log_mean = np.log(size.mean())
    return {
        "n": z.size,
        "n_identity": int((z == 0).sum()),
        "mu_paper": paper.mean(),
        "sd_paper": paper.std(),
        "log_mean_abs": log_mean,
        "sd_abs": size.std(),
        "sd": z.std(),
        "median_abs": np.median(size),
        "q05": np.quantile(size, 0.05),
        "q25": np.quantile(size, 0.25),
        "q75": np.quantile(size, 0.75),
        "q95": np.quantile(size, 0.95),
        "kurtosis": np.nan if constant else stats.kurtosis(z),
    }


def expected(table):
    """All lines of a table by nested loops."""
    lines = []
    for (run_id, step, tag), snapshot in table.groupby(["run_id", "step", "tag"]):
        for rows in ("all", "reachable"):
            kept = snapshot if rows == "all" else snapshot[snapshot["reachable"]]
            for parameter in Z if len(kept) else ():
                about = {
                    "run_id": run_id, "step": step, "tag": tag, "parameter": parameter,
                    "rows": rows, "weighting": "pooled",
                }  # fmt: skip
                layers = [
                    {"scope": "layer", "layer_index": i, **about, **numbers(layer, parameter)}
                    for i, layer in kept.groupby("layer_index")
                ]
                model = {**about, "scope": "model", "layer_index": -1}
                equal = pd.DataFrame(layers).drop(columns=[*about, "scope", "layer_index"])
                counts = {"n": len(kept), "n_identity": int(equal["n_identity"].sum())}
                lines += layers
                lines.append({**model, **numbers(kept, parameter)})
                lines.append({**model, **equal.mean(), **counts, "weighting": "layer"})
    return pd.DataFrame(lines).set_index(KEYS).sort_index()


def runs_of(table):
    ids = sorted(table["run_id"].unique())
    return pd.DataFrame(
        {"run_id": ids, "network": "n", "dataset": "d", "init": "scratch", "replicate": 1}
    )


@st.composite
def tables(draw):
    """Odd layouts: few rows, layers of one row, identities, negative scales, unreachable rows."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    parts = []
    for run in range(draw(st.integers(1, 2))):
        for step, tag in draw(
            st.sampled_from([[(0, "init")], [(5, "best"), (5, "last")], [(0, "init"), (7, "best")]])
        ):
            for layer in range(draw(st.integers(1, 3))):
                n = draw(st.integers(1, 6))
                kind = draw(st.sampled_from(["identity", "constant", "heavy", "negative"]))
                z = rng.standard_t(2, size=(4, n)) * 0.1
                z = {"identity": 0 * z, "constant": 0 * z + 0.1}.get(kind, z)
                sign = rng.choice([-1, 1], n) if kind == "negative" else 1
                parts.append(
                    pd.DataFrame(
                        {
                            "run_id": f"run{run}", "step": step, "tag": tag, "layer_index": layer,
                            "layer": f"layer{layer}", "reachable": rng.random(n) < 0.8,
                            "scale": (sign * np.exp(z[0])).astype(np.float32),
                            "rotate": z[1].astype(np.float32),
                            "translate_x": z[2].astype(np.float32),
                            "translate_y": z[3].astype(np.float32),
                        }
                    )
                )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@settings(max_examples=12, deadline=None)
@given(table=tables(), seed=st.integers(0, 2**16))
def test_every_number_by_an_independent_computation(table, seed):
    summaries = summarise(table, runs_of(table))
    assert summaries.columns.tolist() == COLUMNS
    wanted = expected(table)
    found = summaries.set_index(KEYS).sort_index()
    assert found.index.equals(wanted.index)
    for name in wanted.columns:
        np.testing.assert_allclose(
            found[name].to_numpy(np.float64),
            wanted[name].to_numpy(np.float64),
            rtol=1e-9,
            atol=1e-9 if name == "kurtosis" else 1e-15,
            err_msg=name,
        )
    shuffled = table.sample(frac=1, random_state=np.random.default_rng(seed))
    pd.testing.assert_frame_equal(summaries, summarise(shuffled, runs_of(table)), check_exact=True)


def test_sd_is_that_of_the_signed_displacement(study):
    """Symmetric displacements have the SD of their root mean square; |z| has a smaller one."""
    summaries = summarise(*study)
    line = summaries[(summaries["scope"] == "model") & (summaries["weighting"] == "pooled")].iloc[1]
    assert line["parameter"] == "s"
    kept = study.parameters[study.parameters["run_id"] == line["run_id"]]
    kept = kept if line["rows"] == "all" else kept[kept["reachable"]]
    z = -np.log(np.abs(kept["scale"].to_numpy(np.float64)))
    assert line["sd"] == pytest.approx(z.std(ddof=0), rel=1e-12)
    assert line["sd_abs"] == pytest.approx(np.abs(z).std(ddof=0), rel=1e-12)
    assert line["sd_abs"] < line["sd"]


def test_a_constant_group_has_no_spread_to_the_last_bit():
    """The mean of n equal numbers is rarely that number in floating point; the SD is still 0."""
    layer = np.repeat(np.arange(40), np.arange(1, 41))
    value = np.float32(0.1) * (1 + layer.astype(np.float32))
    table = pd.DataFrame(
        {
            "run_id": "a", "step": 1, "tag": "best", "layer_index": layer,
            "layer": layer.astype(str), "reachable": True, **dict.fromkeys(RAW, value),
        }
    )  # fmt: skip
    lines = summarise(table, runs_of(table))
    lines = lines[lines["scope"] == "layer"]
    assert (lines[["sd", "sd_abs", "sd_paper"]] == 0).all(axis=None)
    assert lines["kurtosis"].isna().all()
    assert (lines["median_abs"] == lines["q95"]).all()


def test_control_comes_from_the_runs_table(study):
    control = np.where(study.runs["replicate"] == 2, "static", "none")
    summaries = summarise(study.parameters, study.runs.assign(control=control))
    assert ((summaries["control"] == "static") == (summaries["replicate"] == 2)).all()
    assert set(summaries["control"]) == {"none", "static"}
    without = summarise(study.parameters, study.runs.drop(columns="control"))
    assert set(without["control"]) == {"none"}
    assert COLUMNS.index("control") == COLUMNS.index("recipe") + 1


def test_files_give_the_table_of_all_rows_in_any_order(study, files):
    whole = summarise(*study)
    rng = np.random.default_rng(3)
    mixed = [files[i] for i in rng.permutation(len(files))]
    for paths in (files, mixed):
        streamed = summarise_files(paths, study.runs, study.snapshots)
        pd.testing.assert_frame_equal(whole, streamed, check_exact=True)


def test_workers_do_not_matter(study, files):
    alone = summarise_files(files[:3], study.runs, study.snapshots)
    shared = summarise_files(files[:3], study.runs, study.snapshots, workers=2)
    pd.testing.assert_frame_equal(alone, shared, check_exact=True)


def test_several_runs_in_a_file_and_small_row_groups(study, tmp_path):
    table = completed(study.parameters)
    arrow = pa.Table.from_pandas(table, schema=SCHEMA, preserve_index=False)
    pq.write_table(arrow, tmp_path / "all.parquet", row_group_size=77)
    found = summarise_files([tmp_path / "all.parquet"], study.runs, study.snapshots)
    pd.testing.assert_frame_equal(summarise(*study), found, check_exact=True)


def test_chunks_of_snapshots_do_not_show(study, monkeypatch):
    together = summarise(*study)
    monkeypatch.setattr("threetconv.statistics.summaries.moments.CHUNK", 200)
    pd.testing.assert_frame_equal(together, summarise(*study), check_exact=True)
    assert len(study.parameters) < CHUNK


def test_a_run_in_two_files_is_refused(study, files, tmp_path):
    with pytest.raises(InputError, match=r"run googlenet-gestures-pretrained-3t-r1, which"):
        summarise_files([files[1], files[0], files[0]], study.runs)


def test_a_file_that_is_no_parameter_table_is_named(study, tmp_path):
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(InputError, match=r"a\.parquet"):
        summarise_files([tmp_path / "a.parquet"], study.runs)
    study.parameters[["run_id", "step", "tag"]].to_parquet(tmp_path / "b.parquet", index=False)
    with pytest.raises(InputError, match=r"b\.parquet"):
        summarise_files([tmp_path / "b.parquet"], study.runs)


def test_no_file_and_an_empty_file_give_an_empty_table(study, tmp_path):
    assert summarise_files([], study.runs).columns.tolist() == COLUMNS
    nothing = write_run(study.parameters, tmp_path, "nobody")
    assert len(summarise_files([nothing], study.runs)) == 0


def test_the_place_of_a_meaningless_value_is_found_in_any_order(study):
    table = study.parameters.sample(frac=1, random_state=np.random.default_rng(0))
    table = table.reset_index(drop=True)
    table.loc[40, "rotate"] = np.inf
    bad = table.iloc[40]
    with pytest.raises(InputError, match=f"run {bad['run_id']}, step 100, layer {bad['layer']}"):
        summarise(table, study.runs)


def test_layouts_and_statistics_by_hand():
    """Two snapshots of layers of 2 + 1 and 1 rows, one row unreachable, out of order."""
    keys = pd.DataFrame(
        {
            "step": [1, 0, 0, 0], "layer": ["a", "b", "a", "a"],
            "reachable": [True, False, True, True],
        }
    )  # fmt: skip
    both = layouts(keys, ["step"], ["layer"])
    everything, reachable = both["all"], both["reachable"]
    assert everything.keys.to_numpy().tolist() == [[0, "a"], [0, "b"], [1, "a"]]
    assert everything.counts.tolist() == [2, 1, 1]
    assert everything.layers.tolist() == [2, 1]
    assert everything.index.tolist() == [2, 3, 1, 0]
    assert reachable.counts.tolist() == [2, 1]
    assert reachable.index.tolist() == [2, 3, 0]
    assert not reachable.covers(4)
    rotate = np.array([0.5, 0.3, 0.1, -0.2])
    by_layer, by_snapshot = statistics(
        "r",
        rotate[everything.index],
        np.zeros_like(rotate),
        np.zeros_like(rotate),
        everything,
    )
    np.testing.assert_allclose(by_layer["mu_paper"], [0.15, 0.3, 0.5])
    np.testing.assert_allclose(by_snapshot["mu_paper"], [0.2, 0.5])
    np.testing.assert_allclose(by_snapshot["median_abs"], [0.2, 0.5])
    np.testing.assert_allclose(by_snapshot["sd"], [np.std([0.1, -0.2, 0.3]), 0])
    ordered = layouts(keys.iloc[[2, 3, 1, 0]], ["step"], ["layer"])["all"]
    assert ordered.index is None


MEMORY = """
import sys
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
from threetconv.statistics.summaries.summarise import summarise_files

path = sys.argv[1]
runs = pd.DataFrame({"run_id": ["a"], "network": ["n"], "dataset": ["d"], "init": ["scratch"],
                     "replicate": [1]})
table = summarise_files([path], runs)
line = table[(table["scope"] == "model") & (table["weighting"] == "pooled")
             & (table["rows"] == "all") & (table["parameter"] == "r")]
print(int(line["n"].sum()), float(line["sd"].iloc[0]))
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads VmHWM")
@pytest.mark.parametrize("snapshots", [1, 100])
def test_ten_million_rows_in_bounded_memory(tmp_path, snapshots):
    """One run with 1e7 rows, in one snapshot or in many: at most 2 GB in a fresh process."""
    rows, layers = 10_000_000, 10
    each = rows // snapshots
    path = tmp_path / "a.parquet"
    rng = np.random.default_rng(0)
    names = ["run_id", "step", "tag", "layer_index", "layer", "reachable", *RAW]
    schema = pa.schema([SCHEMA.field(name) for name in names])
    with pq.ParquetWriter(path, schema) as writer:
        for step in range(snapshots):
            layer = np.repeat(np.arange(layers), each // layers)
            values = rng.standard_normal((4, each), dtype=np.float32) * 0.1
            table = pd.DataFrame(
                {
                    "run_id": "a", "step": step, "tag": "snapshot", "layer_index": layer,
                    "layer": layer.astype(str), "reachable": layer > 0,
                    **dict(zip(RAW, values, strict=True)),
                }
            )  # fmt: skip
            table["scale"] = np.exp(table["scale"])
            writer.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False))
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], check=True, capture_output=True, text=True
    ).stdout.split()
    assert int(found[0]) == rows
    assert float(found[1]) == pytest.approx(0.1, rel=0.01)
    assert float(found[2]) < 2000
