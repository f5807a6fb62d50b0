"""A run as a folder: train, write, read back, repeat."""

from __future__ import annotations

import dataclasses
import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file

from threetconv.errors import InputError
from threetconv.networks.build import build_2d, build_network
from threetconv.records.model_card import model_card
from threetconv.records.plan import Run
from threetconv.records.run_folder import (
    metrics_table,
    parameter_table,
    read_run,
    runs_table,
    snapshots_table,
)
from threetconv.records.run_record import RunRecord
from threetconv.schemas.runs import PARAMETERS as SCHEMA
from threetconv.schemas.runs import RUNS
from threetconv.support.provenance import file_sha256
from threetconv.training.settings import Settings

from ..builders import trained_runs

SHAPE = (8, 16, 16)
RUN = Run("resnet18-toy-scratch-3t-r1", "resnet18", "toy", "scratch", "3t", "none", 1, 7)
RUN_3D = Run("resnet18-toy-scratch-3d-r1", "resnet18", "toy", "scratch", "3d", "none", 1, 7)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    """Twelve tiny clips of two classes; the table's rows are not in the array's order."""
    rng = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("packed") / "clips.npy"
    labels = np.arange(12) % 2
    array = rng.integers(0, 120, (12, *SHAPE, 3), dtype=np.uint8)
    array[labels == 1] += 120
    np.save(file, array)
    order = rng.permutation(12)
    table = pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in order],
            "path": [f"nowhere/c{i}.avi" for i in order],
            "label": [("dark", "bright")[labels[i]] for i in order],
            "split": ["train" if i < 8 else "val" for i in order],
            "row": order,
        }
    )
    return table, file


def train(run: Run, packed: tuple[pd.DataFrame, Path], folder: Path, **changes: Any) -> Path:
    arguments: dict[str, Any] = {
        "packed": packed[1],
        "clip_shape": SHAPE,
        "settings": Settings(epochs=2, batch_size=4, learning_rate=1e-3, snapshot_every=3),
    }
    return trained_runs.train(run, packed[0], folder, **(arguments | changes))


@pytest.fixture(scope="module")
def folder(packed: tuple[pd.DataFrame, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(RUN, packed, tmp_path_factory.mktemp("runs") / RUN.run_id)


@pytest.fixture(scope="module")
def folder_3d(packed: tuple[pd.DataFrame, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(RUN_3D, packed, tmp_path_factory.mktemp("runs") / RUN_3D.run_id)


def test_the_folder_holds_four_files(folder: Path) -> None:
    names = ["best.safetensors", "metrics.parquet", "run.json", "snapshots.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_the_record_says_what_was_run(folder: Path) -> None:
    document = read_run(folder)
    record = document["run"]
    assert {k: record[k] for k in RUN.to_dict()} == RUN.to_dict()
    expected = {
        "source": "trained",
        "optimiser": "adam",
        "lr": 1e-3,
        "frames": 8,
        "height": 16,
        "width": 16,
        "width_factor": 0.125,
        "num_classes": 2,
        "n_train": 8,
        "n_val": 4,
        "n_updates": 4,
        "n_temporal": 4 * 8064 // 8,
        "status": "ok",
    }
    assert {k: record[k] for k in expected} == expected
    assert record["sum_lr2"] == pytest.approx(4e-6)
    assert record["best_step"] == 2 * record["best_epoch"]
    assert record["weights_sha256"] == file_sha256(folder / "best.safetensors")
    assert json.loads(record["versions"])["torch"] == metadata.version("torch")
    assert document["classes"] == ["bright", "dark"]
    assert len(document["layers"]) == 17


def test_every_option_of_training_is_in_the_record_and_on_the_card(
    packed: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    options = Settings(
        epochs=1, batch_size=4, learning_rate=1e-3, patience=3, auxiliary_weight=0.5,
        snapshot_every=7, schedule="plateau", class_weights="balanced",
    )  # fmt: skip
    folder = train(RUN, packed, tmp_path / "run", settings=options, augment={"rotation": 5})
    written = json.loads(read_run(folder)["run"]["settings"])
    assert Settings.from_dict({k: written[k] for k in options.to_dict()}) == options
    assert {k: v for k, v in written.items() if k not in options.to_dict()} == {
        "sampling": "even", "augment": {"rotation": 5}
    }  # fmt: skip
    assert json.loads(runs_table([folder])["settings"].item()) == written
    (line,) = [x for x in model_card(folder).splitlines() if x.startswith("| all settings |")]
    assert '"auxiliary_weight": 0.5' in line


def test_the_runs_table_has_the_documented_columns(folder: Path, folder_3d: Path) -> None:
    table = runs_table([folder, folder_3d])
    assert table["run_id"].tolist() == [RUN.run_id, RUN_3D.run_id]
    wanted = (
        "run_id network dataset init convolution control replicate seed source optimiser lr "
        "sum_lr2 n_updates best_epoch best_step frames height width width_factor num_classes "
        "n_parameters n_temporal weights_sha256 git_sha versions seconds status"
    )
    assert set(wanted.split()) <= set(table.columns)
    assert table["n_temporal"].tolist() == [4 * 8064 // 8, 0]
    for convolution, n in table[["convolution", "n_parameters"]].itertuples(index=False):
        network = build_network(
            "resnet18", convolution=convolution, num_classes=2, clip_shape=SHAPE, width=0.125
        )
        assert n == sum(p.numel() for p in network.parameters())


def test_the_fields_of_a_record_are_the_columns_of_the_runs_table() -> None:
    names = [field.name for field in dataclasses.fields(RunRecord)]
    assert sorted(names) == sorted(RUNS.names)
    assert len(set(names)) == len(names)


def test_the_best_weights_load_into_the_network(folder: Path) -> None:
    network = build_network("resnet18", num_classes=2, clip_shape=SHAPE, width=0.125)
    network.load_state_dict(load_file(folder / "best.safetensors"))


def test_the_parameter_table_is_what_was_trained(folder: Path) -> None:
    table = parameter_table(folder)
    assert list(table.columns) == SCHEMA.names
    steps = {tag: part["step"].unique().tolist() for tag, part in table.groupby("tag")}
    best_step = read_run(folder)["run"]["best_step"]
    assert steps == {"init": [0], "snapshot": [3], "last": [4], "best": [best_step]}
    assert (table.groupby("tag").size() == 8064 // 8).all()
    init = table[table["tag"] == "init"]
    assert (init["scale"] == 1).all()
    assert (init["rotate"] == 0).all()
    best = table[(table["tag"] == "best") & (table["layer"] == "layer1.0.conv1")]
    state = load_file(folder / "best.safetensors")["layer1.0.conv1.translate_x"]
    assert np.array_equal(best["translate_x"].to_numpy(), state.numpy().ravel())
    moved = table[(table["tag"] == "last") & table["reachable"]]
    assert (moved["rotate"] != 0).any()
    stuck = table[(table["tag"] == "last") & ~table["reachable"]]
    assert len(stuck)
    assert (stuck["rotate"] == 0).all()
    assert (stuck["scale"] == 1).all()


def test_the_tables_beside_it(folder: Path, folder_3d: Path) -> None:
    snapshots = snapshots_table([folder, folder_3d])
    assert list(snapshots.columns) == ["run_id", "step", "epoch", "tag", "sum_lr2"]
    assert set(snapshots["run_id"]) == {RUN.run_id}  # a 3D network has no temporal parameters
    assert sorted(snapshots["tag"]) == ["best", "init", "last", "snapshot"]
    np.testing.assert_allclose(snapshots["sum_lr2"], snapshots["step"] * 1e-6)
    metrics = metrics_table([folder, folder_3d])
    assert list(metrics.columns) == ["run_id", "step", "epoch", "split", "metric", "value", "n"]
    assert len(metrics) == 2 * 2 * 2 * 2


def test_two_trainings_are_the_same_to_the_bit(
    folder: Path, packed: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    again = train(RUN, packed, tmp_path / "again")
    assert parameter_table(again).equals(parameter_table(folder))
    assert file_sha256(again / "best.safetensors") == file_sha256(folder / "best.safetensors")
    assert metrics_table([again]).equals(metrics_table([folder]))


def test_rows_are_found_by_their_place_in_the_array(
    folder: Path, packed: tuple[pd.DataFrame, Path], tmp_path: Path
) -> None:
    """The same clips packed in the table's own order train the same network."""
    table, file = packed
    np.save(tmp_path / "sorted.npy", np.load(file)[table["row"]])
    moved = table.assign(row=np.arange(len(table)))
    other = train(RUN, (moved, tmp_path / "sorted.npy"), tmp_path / "other")
    assert parameter_table(other).equals(parameter_table(folder))


def test_pretrained_runs_start_from_their_weights(
    packed: tuple[pd.DataFrame, Path], folder: Path, tmp_path: Path
) -> None:
    """Carried weights make another run; the transforms still start at the identity."""
    weights = tmp_path / "weights.pt"
    torch.save(build_2d("resnet18", num_classes=5, width=0.125, seed=99).state_dict(), weights)
    other = train(RUN, packed, tmp_path / "pretrained", weights=weights)
    assert not parameter_table(other).equals(parameter_table(folder))
    init = parameter_table(other).query("tag == 'init'")
    assert (init["scale"] == 1).all()


def test_a_3d_run_has_no_parameter_table(folder_3d: Path) -> None:
    with pytest.raises(InputError, match="no temporal parameters"):
        parameter_table(folder_3d)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"run": {}}'])
def test_a_folder_without_a_record_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json"):
        read_run(tmp_path)


def test_a_diverged_run_fails_extraction(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    arrays = load_arrays(copy / "snapshots.safetensors")
    arrays["3/conv1.scale"] = arrays["3/conv1.scale"] * np.nan
    save_arrays(arrays, copy / "snapshots.safetensors")
    with pytest.raises(InputError, match=r"layer 'conv1'"):
        parameter_table(copy)
