"""The parameter table: known answers, one definition in two languages, refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network
from threetconv.networks.layer_info import LayerInfo
from threetconv.records.extract import extract_parameters
from threetconv.records.parameters import (
    CELL,
    DERIVED_SQL,
    PARAMETERS,
    VALUES,
    derive,
    displacement,
    magnitude,
    read_columns,
    read_parameters,
    tabulate,
)
from threetconv.schemas.runs import PARAMETERS as SCHEMA
from threetconv.support.files import read_parquet, write_parquet

RAW = ("scale", "rotate", "translate_x", "translate_y")
LAYERS = [
    LayerInfo(0, "stem", (3, 7, 7), 2, 1, 16, (True, True)),
    LayerInfo(1, "deep.conv", (2, 3, 3), 3, 4, 8, (False,)),
]


def raw(**columns: list[float]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    start = {"scale": [1.0] * n, **{name: [0.0] * n for name in RAW[1:]}}
    return pd.DataFrame({**start, **columns}).astype(np.float32)


def values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"stem": (2, 2), "deep.conv": (1, 3)}
    return {
        f"{layer}.{name}": (rng.normal(0, 0.1, shape) + (name == "scale")).astype(np.float32)
        for layer, shape in shapes.items()
        for name in RAW
    }


def test_the_papers_table_statistic() -> None:
    """statistics.md's known answers; |1 - |1/s||, ddof 0."""
    frame = derive(
        raw(
            scale=[1, 0.8, 1.25, 2, -0.5],
            rotate=[0, 0.1, -0.2, 0.3, 0],
            translate_x=[0, 0.2, -0.4, 0.1, 0],
            translate_y=[0, 0.2, -0.4, 0.1, 0],
        )
    )
    np.testing.assert_allclose(frame["paper_s"], [0, 0.25, 0.2, 0.5, 1], atol=1e-7)
    means = {"s": 0.39, "r": 0.12, "px": 0.07, "py": 0.07}
    spreads = {"s": 0.3440930107, "r": 0.1166190379, "px": 0.0748331477, "py": 0.0748331477}
    for name in PARAMETERS:
        assert frame[f"paper_{name}"].mean() == pytest.approx(means[name], abs=1e-7)
        assert frame[f"paper_{name}"].std(ddof=0) == pytest.approx(spreads[name], abs=1e-7)


def test_signs_and_units_by_hand() -> None:
    """tx > 0 moves content left, ty > 0 up, s > 1 shrinks, r > 0 turns counter-clockwise."""
    row = derive(
        raw(scale=[2], rotate=[math.pi / 6], translate_x=[0.5], translate_y=[0.25]).assign(
            kernel_hw=7, jump=4
        )
    ).iloc[0]
    expected = {
        "s_prime": 0.5,
        "r_prime": -math.pi / 6,
        "px_prime": -0.25,
        "py_prime": 0.125,
        "z_s": -math.log(2),
        "z_r": -math.pi / 6,
        "z_x": -0.25,
        "z_y": 0.125,
        "clockwise_degrees": -30,
        "kernel_px_x": -1.5,
        "kernel_px_y": 0.75,
        "input_px_x": -6,
        "input_px_y": 3,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-6), name


def test_pixel_columns_need_kernel_and_jump() -> None:
    frame = derive(raw(scale=[1.0]))
    assert not [name for name in frame.columns if "px_x" in name]
    assert "z_s" in frame


finite = st.floats(-2, 2, width=32).filter(lambda v: v == 0 or abs(v) > 1e-3)


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.tuples(
            finite.filter(bool),
            finite,
            finite,
            finite,
            st.sampled_from([3, 5, 7]),
            st.sampled_from([1, 4, 32]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_the_sql_view_equals_the_function(rows: list[tuple[float, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=[*RAW, "kernel_hw", "jump"])
    for name in RAW:
        # another start for every row: the value of the row before it
        frame[f"{name}_start"] = np.roll(frame[name], 1)
    frame = frame.astype({n: np.float32 for n in frame if n not in ("kernel_hw", "jump")})
    expected = derive(frame)
    with duckdb.connect() as connection:
        connection.register("raw", frame)
        found = connection.sql(DERIVED_SQL.format(source="raw")).df()
    assert sorted(found.columns) == sorted(expected.columns)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-15)


def test_the_sql_view_reads_parquet(tmp_path: Path) -> None:
    frame = tabulate(values(), LAYERS, run_id="a")
    write_parquet(frame, tmp_path / "a.parquet", SCHEMA)
    source = f"read_parquet('{tmp_path}/*.parquet')"
    with duckdb.connect() as connection:
        found = connection.sql(DERIVED_SQL.format(source=source)).df()
    assert len(found) == len(frame)
    np.testing.assert_allclose(found["z_s"], derive(frame)["z_s"], rtol=1e-12)


def test_derive_leaves_its_argument_alone() -> None:
    frame = raw(scale=[1.0, 2.0])
    derive(frame)
    assert list(frame.columns) == list(RAW)


def test_the_identity_has_no_displacement() -> None:
    frame = derive(raw(scale=[1.0, 1.0]))
    for name in ("z_s", "z_r", "z_x", "z_y", *(f"paper_{p}" for p in PARAMETERS)):
        assert (frame[name] == 0).all()


def test_tabulate_has_a_row_per_layer_transition_and_channel() -> None:
    arrays = values()
    frame = tabulate(arrays, LAYERS, run_id="a", step=7, epoch=2, tag="best")
    assert list(frame.columns) == SCHEMA.names
    assert len(frame) == 2 * 2 + 1 * 3
    assert frame["layer"].tolist() == ["stem"] * 4 + ["deep.conv"] * 3
    assert frame["transition"].tolist() == [0, 0, 1, 1, 0, 0, 0]
    assert frame["channel"].tolist() == [0, 1, 0, 1, 0, 1, 2]
    assert frame["kernel_t"].tolist() == [3] * 4 + [2] * 3
    assert frame["kernel_hw"].tolist() == [7] * 4 + [3] * 3
    assert frame["jump"].tolist() == [1] * 4 + [4] * 3
    assert frame["reachable"].tolist() == [True] * 4 + [False] * 3
    assert set(frame["step"]) == {7}
    assert set(frame["epoch"]) == {2}
    assert set(frame["tag"]) == {"best"}
    for row in frame.itertuples():
        for name in RAW:
            array = arrays[f"{row.layer}.{name}"]
            assert getattr(row, name) == array[row.transition, row.channel]


def test_only_some_transitions_reachable() -> None:
    layer = LayerInfo(0, "stem", (3, 7, 7), 2, 1, 16, (True, False))
    frame = tabulate(values(), [layer], run_id="a")
    assert frame["reachable"].tolist() == [True, True, False, False]


def test_a_kernel_that_is_not_square_has_no_pixel_columns(tmp_path: Path) -> None:
    """Missing in the table, the file and both derivations; the square layer keeps its numbers."""
    layers = [replace(LAYERS[0], kernel=(3, 1, 7)), LAYERS[1]]
    write_parquet(tabulate(values(), layers, run_id="a"), tmp_path / "a.parquet", SCHEMA)
    assert pq.read_table(tmp_path / "a.parquet")["kernel_hw"].to_pylist() == [None] * 4 + [3] * 3
    frame = derive(read_parquet(tmp_path / "a.parquet"))
    with duckdb.connect() as connection:
        connection.read_parquet(str(tmp_path / "a.parquet")).create_view("raw")
        found = connection.sql(DERIVED_SQL.format(source="raw")).df()
    for name in ("kernel_px_x", "kernel_px_y", "input_px_x", "input_px_y"):
        assert frame[name].isna().tolist() == [True] * 4 + [False] * 3
        np.testing.assert_allclose(found[name].to_numpy(np.float64), frame[name], rtol=1e-12)
    assert frame["px_prime"].notna().all()


def test_derive_refuses_a_scale_of_zero() -> None:
    with pytest.raises(ValueError, match=r"scale\[1\] is 0"):
        derive(raw(scale=[1.0, 0.0]))


def test_the_file_has_the_schema(tmp_path: Path) -> None:
    write_parquet(tabulate(values(), LAYERS, run_id="a"), tmp_path / "a.parquet", SCHEMA)
    assert pq.read_schema(tmp_path / "a.parquet").equals(SCHEMA)


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_values_without_meaning_are_refused(name: str, value: float) -> None:
    arrays = values()
    arrays[f"deep.conv.{name}"][0, 1] = value
    if value == 0 and name != "scale":
        assert len(tabulate(arrays, LAYERS, run_id="a")) == 7
        return
    with pytest.raises(InputError, match=r"'a', step 3, layer 'deep\.conv'"):
        tabulate(arrays, LAYERS, run_id="a", step=3)


def test_a_missing_layer_and_no_layer_are_refused() -> None:
    arrays = values()
    del arrays["stem.rotate"]
    with pytest.raises(InputError, match=r"stem\.rotate"):
        tabulate(arrays, LAYERS, run_id="a")
    with pytest.raises(InputError, match="no 3T layer"):
        tabulate({}, [], run_id="a")


def test_extraction_of_a_network_in_memory() -> None:
    network = build_network("resnet18", num_classes=3, clip_shape=(16, 32, 32), width=0.125, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv3T):
                module.rotate += torch.randn(module.rotate.shape, generator=generator)
    frame = extract_parameters(network, (16, 32, 32), run_id="mine")
    assert len(frame) == 8064 // 8
    assert (~frame["reachable"]).sum() == 2816 // 8
    assert frame["layer"].nunique() == 17
    one = frame.query("layer == 'layer2.0.conv1' and transition == 1 and channel == 5")
    stored = network.get_submodule("layer2.0.conv1").rotate
    assert one["rotate"].item() == stored[1, 5].item()
    assert set(frame["run_id"]) == {"mine"}


def test_extraction_refuses_a_network_without_3t_layers() -> None:
    with pytest.raises(InputError, match='convolution="3t"'):
        extract_parameters(nn.Sequential(nn.Conv3d(3, 4, 3)), (8, 16, 16))


def test_tables_are_read_with_their_folders_columns(tmp_path: Path) -> None:
    files = []
    for init in ("pretrained", "scratch"):
        for replicate in (1, 2):
            run_id = f"resnet18-scenes-{init}-3t-r{replicate}"
            folder = tmp_path / f"network=resnet18/dataset=scenes/init={init}/recipe=paper"
            frame = pd.concat(
                [
                    tabulate(values(), LAYERS, run_id=run_id, tag=tag, step=step)
                    for step, tag in enumerate(("init", "best"))
                ]
            )
            write_parquet(frame, folder / f"{run_id}.parquet", SCHEMA)
            files.append(folder / f"{run_id}.parquet")
    everything = read_parameters(files)
    assert len(everything) == 4 * 2 * 7
    assert list(everything.columns) == [*SCHEMA.names, *CELL]
    for run_id, init in everything[["run_id", "init"]].drop_duplicates().itertuples(index=False):
        assert init in run_id
    best = read_parameters(files[:2], tags=["best"], columns=["run_id", "scale"])
    assert list(best.columns) == ["run_id", "scale", *CELL]
    assert len(best) == 2 * 7
    assert set(best["init"]) == {"pretrained"}


def test_one_parameter_alone_is_what_derive_makes_of_it() -> None:
    columns = {
        name: [*np.random.default_rng(i).standard_t(2, 50), 1.0, -0.5] for i, name in enumerate(RAW)
    }
    frame = derive(raw(**columns))
    for parameter, name, z in zip(PARAMETERS, RAW, ("z_s", "z_r", "z_x", "z_y"), strict=True):
        np.testing.assert_array_equal(displacement(parameter, frame[name]), frame[z])
        np.testing.assert_array_equal(
            magnitude(parameter, frame[name]), frame[f"paper_{parameter}"]
        )
    np.testing.assert_allclose(displacement("s", 0.5), np.log(2))
    np.testing.assert_allclose(magnitude("s", -0.5), 1.0)


def test_columns_of_one_file_are_read_alone(tmp_path: Path) -> None:
    table = tabulate(values(), LAYERS, run_id="a")
    write_parquet(table, tmp_path / "init=scratch" / "a.parquet", SCHEMA)
    found = read_columns(tmp_path / "init=scratch" / "a.parquet", ["scale", "layer", "reachable"])
    assert sorted(found) == ["layer", "reachable", "scale"]
    assert isinstance(found["layer"].dtype, pd.CategoricalDtype)
    assert found["layer"].astype(str).tolist() == table["layer"].tolist()
    np.testing.assert_array_equal(found["scale"], table["scale"])
    assert found["scale"].dtype == np.float32


def test_what_densities_need_is_read_without_the_rest(tmp_path: Path) -> None:
    """Best rows of two runs, and of the columns only those that densities and distances use."""
    files = []
    for run_id in ("a", "b"):
        table = pd.concat(
            tabulate(values(), LAYERS, run_id=run_id, tag=tag) for tag in ("init", "best", "last")
        )
        folder = tmp_path / "network=n" / "dataset=d" / "init=scratch" / "recipe=paper"
        files.append(folder / f"{run_id}.parquet")
        write_parquet(table, files[-1], SCHEMA)
    best = read_parameters(files, tags=["best"], columns=VALUES)
    everything = read_parameters(files)
    assert set(best) == {*VALUES, *CELL}
    expected = everything[everything["tag"] == "best"].reset_index(drop=True)
    pd.testing.assert_frame_equal(best, expected[best.columns])


def test_a_file_without_the_columns_is_named(tmp_path: Path) -> None:
    pd.DataFrame({"scale": [1.0]}).to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(InputError, match=r"a\.parquet\n.*no column rotate"):
        read_columns(tmp_path / "a.parquet", ["scale", "rotate"])
    (tmp_path / "b.parquet").write_text("nothing")
    with pytest.raises(InputError, match=r"b\.parquet"):
        read_columns(tmp_path / "b.parquet", ["scale"])
