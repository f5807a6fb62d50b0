"""A fetched run: the folder of a trained one, with what is known and what was measured here."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from threetconv.errors import InputError
from threetconv.networks.build import build_network
from threetconv.records.load_model import load_model
from threetconv.records.plan import Run
from threetconv.records.run_folder import (
    metrics_table,
    parameter_table,
    read_run,
    runs_table,
    snapshots_table,
)
from threetconv.schemas.runs import PARAMETERS as SCHEMA
from threetconv.statistics.summaries.accuracy import accuracy_table
from threetconv.statistics.summaries.snapshot_choice import WITHOUT
from threetconv.statistics.summaries.summarise import summarise
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.support.files import read_parquet
from threetconv.support.provenance import file_sha256
from threetconv.training.fetch_run import fetch_run
from threetconv.training.settings import Settings

from ..builders import trained_runs

SHAPE = (8, 16, 16)
RUN = Run("resnet18-toy-scratch-3t-r1", "resnet18", "toy", "scratch", "3t", "none", 1, 7)
RATE, UPDATES = 1e-3, 6


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Table and array of twenty tiny clips of two classes, in three splits."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 2
    array = rng.integers(0, 120, (20, *SHAPE, 3), dtype=np.uint8)
    array[labels == 1] += 120
    np.save(folder / "clips.npy", array)
    table = pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in range(20)],
            "path": [f"nowhere/c{i}.avi" for i in range(20)],
            "label": [("dark", "bright")[i] for i in labels],
            "split": ["train"] * 8 + ["val"] * 5 + ["test"] * 7,
            "row": range(20),
        }
    )
    table.to_parquet(folder / "clips.parquet", index=False)
    return folder / "clips.parquet", folder / "clips.npy"


@pytest.fixture(scope="module")
def trained(clips: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / RUN.run_id
    settings = Settings(epochs=16, batch_size=4, learning_rate=RATE, snapshot_every=8)
    return trained_runs.train(
        RUN, read_parquet(clips[0]), folder, packed=clips[1], clip_shape=SHAPE, settings=settings
    )


def get(clips: tuple[Path, Path], folder: Path, source: Path, run: Run = RUN, **more: Any) -> Path:
    options: dict[str, Any] = {
        "table": read_parquet(clips[0]),
        "packed": clips[1],
        "clip_shape": SHAPE,
        "width": 0.125,
        "cache": folder.parent / "downloads",
    }
    fetch_run(run, source=f"file:{source}", folder=folder, **(options | more))
    return folder


@pytest.fixture(scope="module")
def fetched(
    trained: Path, clips: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("fetched") / RUN.run_id
    return get(clips, folder, trained / "best.safetensors", licence="CC-BY-4.0")


def values(folder: Path, split: str) -> dict[str, float]:
    metrics = metrics_table([folder])
    lines = metrics[metrics["split"] == split]
    lines = lines[lines["epoch"] == read_run(folder)["run"]["best_epoch"]]
    return dict(zip(lines["metric"], lines["value"], strict=True))


def test_the_files_are_those_of_a_trained_run(fetched: Path, trained: Path) -> None:
    assert {p.name for p in fetched.iterdir()} == {p.name for p in trained.iterdir()}
    state = load_file(fetched / "best.safetensors")
    original = load_file(trained / "best.safetensors")
    assert set(state) == set(original)
    assert all(torch.equal(state[name], original[name]) for name in state)


def test_what_was_measured_is_what_training_had_measured(fetched: Path, trained: Path) -> None:
    for split in ("val", "test"):
        mine, theirs = values(fetched, split), values(trained, split)
        assert set(mine) == {"loss", "accuracy"}
        assert mine == pytest.approx(theirs, abs=1e-6)
    counts = metrics_table([fetched]).groupby("split")["n"].unique().to_dict()
    assert {split: list(n) for split, n in counts.items()} == {"val": [5], "test": [7]}


def test_the_record_says_what_is_known(fetched: Path, trained: Path) -> None:
    text = (fetched / "run.json").read_text()
    assert "NaN" not in text  # which JSON does not have
    record, other = json.loads(text)["run"], read_run(trained)["run"]
    assert {k: record[k] for k in RUN.to_dict()} == RUN.to_dict()
    expected = {
        "source": "fetched",
        "fetched_from": f"file:{trained / 'best.safetensors'}",
        "fetched_sha256": file_sha256(trained / "best.safetensors"),
        "fetched_format": "threetconv",
        "licence": "CC-BY-4.0",
        "weights_sha256": file_sha256(fetched / "best.safetensors"),
        "status": "ok",
        **dict.fromkeys(("lr", "sum_lr2", "n_updates", "best_step", "optimiser", "n_train")),
    }
    assert {k: record[k] for k in expected} == expected
    same = ("num_classes", "n_val", "n_test", "n_parameters", "n_temporal", "frames", "height")
    assert {k: record[k] for k in same} == {k: other[k] for k in same}
    mine, theirs = read_run(fetched), read_run(trained)
    assert mine["classes"] == theirs["classes"]
    assert mine["layers"] == theirs["layers"]
    assert [s["tag"] for s in mine["snapshots"]] == ["best"]


def test_the_parameter_table_is_that_of_the_best_epoch(fetched: Path, trained: Path) -> None:
    table, whole = parameter_table(fetched), parameter_table(trained)
    assert list(table.columns) == SCHEMA.names
    best = whole[whole["tag"] == "best"].reset_index(drop=True)
    walks = [name for name in SCHEMA.names if name.endswith("_walk")]
    assert table[walks].isna().all(axis=None)  # of its gradients nothing is known
    unknown = ["step", "epoch", *walks]
    pd.testing.assert_frame_equal(table.drop(columns=unknown), best.drop(columns=unknown))


def test_given_updates_and_rate_make_a_noise_floor(
    trained: Path, clips: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = get(
        clips,
        tmp_path / "known",
        trained / "best.safetensors",
        n_updates=UPDATES,
        learning_rate=RATE,
    )
    record, snapshots = read_run(folder)["run"], snapshots_table([folder])
    assert record["n_updates"] == record["best_step"] == UPDATES
    assert record["schedule"] == "constant"
    assert record["sum_lr2"] == pytest.approx(UPDATES * RATE**2)
    assert snapshots["step"].tolist() == [UPDATES]
    lines = summarise(parameter_table(folder), runs_table([folder]), snapshots)
    scale = lines[lines["parameter"] == "s"]
    floor = np.sqrt(2 / np.pi * UPDATES * RATE**2)
    np.testing.assert_allclose(scale["noise_floor"], floor)
    assert scale["floor_ratio"].notna().any()


def test_later_stages_take_runs_without_a_noise_floor(
    fetched: Path, trained: Path, tmp_path: Path
) -> None:
    """Best checkpoints are compared; matched noise budgets are told to be out of reach."""
    folders, tables = [], []
    for dataset in ("toy", "other"):
        for replicate in range(1, 4):
            folder = tmp_path / f"{dataset}{replicate}"
            folder.mkdir()
            source = fetched if dataset == "toy" else trained
            for file in source.iterdir():
                (folder / file.name).write_bytes(file.read_bytes())
            document = read_run(folder)
            document["run"] |= {
                "run_id": folder.name,
                "dataset": dataset,
                "replicate": replicate,
            }
            (folder / "run.json").write_text(json.dumps(document))
            metrics = read_parquet(folder / "metrics.parquet").assign(run_id=folder.name)
            metrics.to_parquet(folder / "metrics.parquet", index=False)
            table = parameter_table(folder)
            noise = np.random.default_rng(replicate).normal(0, 0.01, len(table))
            tables.append(table.assign(rotate=(table["rotate"] + noise).astype(np.float32)))
            folders.append(folder)
    runs, snapshots = runs_table(folders), snapshots_table(folders)
    for frame, name in ((runs, "runs"), (snapshots, "snapshots")):
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
    runs, snapshots = (read_parquet(tmp_path / f"{n}.parquet") for n in ("runs", "snapshots"))
    lines = summarise(pd.concat(tables, ignore_index=True), runs, snapshots)
    mine = lines[lines["dataset"] == "toy"]
    assert mine["noise_floor"].isna().all()
    assert mine["floor_ratio"].isna().all()
    assert mine["log_mean_abs"].notna().all()
    tests = run_tests(lines, runs, seed=0, families=("dataset",), checkpoint=("best", "matched"))
    best = tests[(tests["checkpoint"] == "best") & (tests["parameter"] == "r")]
    assert best["estimate"].notna().all()
    matched = tests[tests["checkpoint"] == "matched"]
    assert set(matched["status"]) == {"untestable"}
    assert set(matched["reason"]) == {WITHOUT}
    accuracy = accuracy_table(metrics_table(folders), runs)
    assert accuracy["accuracy_mean"].notna().all()


def test_the_model_is_the_network_that_was_fetched(fetched: Path, trained: Path) -> None:
    clip = torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(load_model(fetched)(clip), load_model(trained)(clip))


def test_a_file_that_is_not_the_records_is_refused(fetched: Path, tmp_path: Path) -> None:
    for file in fetched.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(tmp_path / "best.safetensors")
    state["fc.bias"] = state["fc.bias"] + 1
    save_file(state, tmp_path / "best.safetensors")
    with pytest.raises(InputError, match=r"as run\.json beside it says"):
        load_model(tmp_path)


def test_classes_may_have_another_order(
    trained: Path, clips: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The true order is measured as well as training did; the wrong one is noticed."""
    state = load_file(trained / "best.safetensors")
    for name in ("fc.weight", "fc.bias"):
        state[name] = state[name].flip(0).contiguous()
    save_file(state, tmp_path / "flipped.safetensors")
    told = get(
        clips, tmp_path / "told", tmp_path / "flipped.safetensors", classes=["dark", "bright"]
    )
    assert values(told, "val") == pytest.approx(values(trained, "val"), abs=1e-6)
    assert read_run(told)["classes"] == ["dark", "bright"]
    with caplog.at_level(logging.WARNING, logger="threetconv"):
        untold = get(clips, tmp_path / "untold", tmp_path / "flipped.safetensors")
    assert values(trained, "val")["accuracy"] > 0.5
    assert values(untold, "val")["accuracy"] < 0.5
    assert "val accuracy" in caplog.text
    assert "in the order of the classes" in caplog.text
    with pytest.raises(InputError, match="not among the classes"):
        get(clips, tmp_path / "x", trained / "best.safetensors", classes=["dark", "grey"])


def test_a_network_of_other_classes_is_refused(clips: tuple[Path, Path], tmp_path: Path) -> None:
    network = build_network("resnet18", num_classes=5, clip_shape=SHAPE, width=0.125, seed=0)
    torch.save({"model": network.state_dict()}, tmp_path / "five.pt")
    with pytest.raises(InputError, match="weights of another network") as caught:
        get(clips, tmp_path / "run", tmp_path / "five.pt")
    assert "5 classes" in caught.value.found
    assert "2 classes" in caught.value.expected
    assert not (tmp_path / "run").exists()


def test_a_wrong_hash_is_refused(trained: Path, clips: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SHA-256"):
        get(clips, tmp_path / "run", trained / "best.safetensors", sha256="0" * 64)
    assert not (tmp_path / "run").exists()


def test_validation_clips_are_needed(
    trained: Path, clips: tuple[Path, Path], tmp_path: Path
) -> None:
    table = read_parquet(clips[0])
    table["split"] = table["split"].replace("val", "train")
    with pytest.raises(InputError, match="no clip"):
        get(clips, tmp_path / "run", trained / "best.safetensors", table=table)


@pytest.mark.parametrize(
    "given", [{"n_updates": 0}, {"learning_rate": -1.0}, {"learning_rate": float("nan")}]
)
def test_impossible_facts_are_refused(
    given: dict[str, Any], trained: Path, clips: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="above 0"):
        get(clips, tmp_path / "run", trained / "best.safetensors", **given)


def test_a_3d_network_has_no_snapshots(clips: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run("resnet18-toy-scratch-3d-r1", "resnet18", "toy", "scratch", "3d", "none", 1, 7)
    network = build_network(
        "resnet18", convolution="3d", num_classes=2, clip_shape=SHAPE, width=0.125, seed=0
    )
    torch.save(network.state_dict(), tmp_path / "3d.pt")
    folder = get(clips, tmp_path / "run", tmp_path / "3d.pt", run)
    assert read_run(folder)["snapshots"] == []
    assert read_run(folder)["run"]["n_temporal"] == 0


def test_the_authors_names_are_read(clips: tuple[Path, Path], tmp_path: Path) -> None:
    """A ResNet18 named as theirs: convolutions and norms numbered, the downsampling ones first."""
    network = build_network("resnet18", num_classes=2, clip_shape=SHAPE, width=0.125, seed=3)
    state, named = network.state_dict(), {}
    pairs = [("conv1", "bn1")]
    for stage in range(1, 5):
        for block in range(2):
            at = f"layer{stage}.{block}"
            if stage > 1 and block == 0:
                pairs.append((f"{at}.downsample.0", f"{at}.downsample.1"))
            pairs += [(f"{at}.conv1", f"{at}.bn1"), (f"{at}.conv2", f"{at}.bn2")]
    for number, (convolution, norm) in enumerate(pairs, start=1):
        for name, value in state.items():
            layer, _, kind = name.rpartition(".")
            if layer == convolution:
                first = kind == "weight" and f"{layer}.scale" in state
                named[f"conv{number}.{'first_weight' if first else kind}"] = value
            elif layer == norm:
                named[f"bn{number}.{kind}"] = value
    named |= {name: state[name] for name in ("fc.weight", "fc.bias")}
    torch.save(named, tmp_path / "theirs.pt")
    folder = get(clips, tmp_path / "run", tmp_path / "theirs.pt", format="authors")
    loaded = load_file(folder / "best.safetensors")
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    with pytest.raises(InputError, match="weights of another network"):
        get(clips, tmp_path / "other", tmp_path / "theirs.pt")
