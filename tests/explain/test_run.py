"""All explanations of one run: tables and pictures that belong together, the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.run import Options, explain_run, first_and_deepest, show_clips
from threetconv.explain.tables import chosen_trajectories, together
from threetconv.explorer.collect import collect
from threetconv.explorer.page import explorer
from threetconv.networks.freeze import freeze_filters
from threetconv.records.load_model import load_model
from threetconv.records.model_card import model_card
from threetconv.records.plan import Run
from threetconv.records.run_folder import parameter_table, read_run
from threetconv.schemas.channels import CHANNELS, IMAGES
from threetconv.support.files import read_parquet
from threetconv.support.provenance import file_sha256
from threetconv.training.settings import Settings

from ..builders import trained_runs

SHAPE = (8, 16, 16)
OPTIONS = Options(
    clips=6,
    channels={"faithfulness": 1, "displacement": 1, "random": 1},
    methods=("gradient", "grad-cam"),
    steps=2,
    learning_rate=0.01,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed data set and two trained runs on it."""
    place = tmp_path_factory.mktemp("explained")
    rng = np.random.default_rng(0)
    np.save(place / "clips.npy", rng.integers(0, 256, (20, *SHAPE, 3), dtype=np.uint8))
    table = pd.DataFrame(
        {
            "clip_id": [f"c{i:02d}" for i in range(20)],
            "path": [f"c{i:02d}" for i in range(20)],
            "label": [("dark", "light")[i % 2] for i in range(20)],
            "split": ["train"] * 8 + ["val"] * 12,
            "row": range(20),
        }
    )
    table.to_parquet(place / "clips.parquet", index=False)
    for convolution in ("3t", "3d"):
        train(place, convolution)
        if convolution == "3t":
            parameter_table(place / convolution).to_parquet(
                place / "parameters.parquet", index=False
            )
        explain(place, convolution, place / "out" / convolution)
    return place


def train(place: Path, convolution: str) -> Path:
    return trained_runs.train(
        Run(convolution, "resnet18", "toy", "scratch", convolution, "none", 1, 7),
        read_parquet(place / "clips.parquet"),
        place / convolution,
        packed=place / "clips.npy",
        clip_shape=SHAPE,
        settings=Settings(epochs=1, batch_size=4, learning_rate=1e-2),
    )


def explain(place: Path, convolution: str, out: Path, **changes: Any) -> Path:
    arguments = {
        "table": read_parquet(place / "clips.parquet"),
        "packed": place / "clips.npy",
        "parameters": read_parquet(place / "parameters.parquet") if convolution == "3t" else None,
        "options": OPTIONS,
        "seed": 5,
        "shuffled": place / convolution,
    }
    explain_run(place / convolution, out=out, **(arguments | changes))
    return out


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("convolution", ["3t", "3d"])
def test_tables_and_pictures_belong_together(place: Path, convolution: str) -> None:
    out = place / "out" / convolution
    images = read_parquet(out / "images.parquet")
    assert list(images.columns) == IMAGES.names
    assert sorted(images["file"]) == sorted(
        f"pictures/{path.name}" for path in (out / "pictures").iterdir()
    )
    for row in images.itertuples():
        with Image.open(out / row.file) as picture:
            assert picture.size == (row.width, row.height)
    chosen = read_parquet(out / "chosen.parquet")
    keys = ["run_id", "layer_index", "layer", "channel"]
    assert set(map(tuple, images[keys].to_numpy())) == set(map(tuple, chosen[keys].to_numpy()))
    drops = read_parquet(out / "faithfulness.parquet")
    assert set(drops["ablation"]) == {"identity" if convolution == "3t" else "mean"}
    assert set(drops.loc[drops["label"] == "", "n_clips"]) == {6}
    methods = {"gradient", "grad-cam", "frame", "maximised", "filters"}
    methods |= {"pictogram", "motion-film"} if convolution == "3t" else set()
    assert set(images["method"]) == methods
    # films are strips of frames of one width
    films = images[images["frame"] < 0]
    assert (films["width"] % films["n_frames"] == 0).all()
    assert (images.query("method == 'maximised'")["n_frames"] == (1, 8)[convolution == "3d"]).all()
    checks = read_parquet(out / "sanity.parquet")
    assert {"last layer", "all layers", "labels"} == set(checks["randomised"])
    checked = checks["layer_index"].unique()
    assert checked[0] == chosen["layer_index"].iloc[0]
    assert checked[-1] == chosen["layer_index"].max()
    # against itself an explanation does not change, and that is told
    assert checks.loc[checks["randomised"] == "labels", "flagged"].all()


def test_the_first_channel_and_one_of_the_deepest_layer_are_checked() -> None:
    layers = {"conv1": 0, "layer4.0.conv1": 15, "layer4.1.conv1": 18}
    first, middle, deep = (Channel(name, 3) for name in layers)
    assert first_and_deepest([first, middle, deep], layers) == [first, deep]
    assert first_and_deepest([deep, first], layers) == [deep]
    assert first_and_deepest([], layers) == []
    same = Channel("layer4.1.conv1", 5)
    assert first_and_deepest([middle, same, deep], layers) == [middle, same]


def test_channels_of_a_3t_run_are_in_words_and_a_3d_run_has_none(place: Path) -> None:
    channels = read_parquet(place / "out/3t/channels.parquet")
    layers = read_run(place / "3t")["layers"]
    assert list(channels.columns) == CHANNELS.names
    assert len(channels) == sum(layer["channels"] for layer in layers)
    assert channels["sentence"].str.len().gt(10).all()
    assert read_parquet(place / "out/3d/channels.parquet").empty


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    place: Path, tmp_path: Path
) -> None:
    first = files(place / "out/3t")
    assert files(explain(place, "3t", tmp_path / "again")) == first
    assert files(explain(place, "3t", tmp_path / "other", seed=6)) != first


def test_clips_come_class_by_class_and_from_their_split(place: Path) -> None:
    document, table = read_run(place / "3t"), read_parquet(place / "clips.parquet")
    frames, labels, ids = show_clips(document, table, place / "clips.npy", count=5, seed=1)
    assert frames.shape == (5, *SHAPE, 3)
    assert sorted(labels.tolist()) == [0, 0, 0, 1, 1]
    assert all(int(name[1:]) >= 8 for name in ids)
    stored = np.load(place / "clips.npy")
    assert all((frames[i] == stored[int(name[1:])]).all() for i, name in enumerate(ids))
    with pytest.raises(InputError, match="no clips of split 'test'"):
        show_clips(document, table, place / "clips.npy", count=5, seed=1, split="test")


def test_runs_are_put_together(place: Path) -> None:
    tables = together([place / "out/3t", place / "out/3d"])
    assert set(tables["images"]["run_id"]) == {"3t", "3d"}
    assert all((place / "out" / file).is_file() for file in tables["images"]["file"])
    paths = chosen_trajectories(
        tables["chosen"], {"3t": place / "parameters.parquet"}, {"3t": place / "3t"}
    )
    channels = tables["channels"].set_index(["layer", "channel"])
    last = paths.groupby(["layer", "channel"]).last()
    assert set(last.index) == {
        (layer, channel)
        for run_id, layer, channel in tables["chosen"][["run_id", "layer", "channel"]].to_numpy()
        if run_id == "3t"
    }
    for key, row in last.iterrows():
        for name in ("zoom", "turn_deg", "right_px", "up_px"):
            assert row[name] == pytest.approx(channels.loc[key, name], abs=1e-6)


def test_what_the_explorer_shows_of_a_run(place: Path) -> None:
    variant = collect(place / "3t", place / "out/3t", place / "parameters.parquet")
    assert set(variant.accuracy) == {"train", "val"}
    rows = variant.parameters[variant.parameters["reachable"]]
    walks = rows[[name for name in rows if name.endswith("_walk")]].to_numpy(np.float64)
    assert variant.noise_floor == pytest.approx(np.sqrt(2 / np.pi * walks.mean()))
    # the first two updates are among Adam's largest
    assert 1 < variant.noise_floor / np.sqrt(2 / np.pi * 2 * 1e-4) < 3.1
    assert variant.first_layer_filters is not None
    assert variant.first_layer_filters.shape == (8, 7, 7, 7, 3)
    assert set(variant.parameters["tag"]) == {"best"}
    plain = collect(place / "3d", place / "out/3d", None)
    assert plain.parameters.empty
    page = explorer([variant, plain], title="A page of two runs")
    assert "A page of two runs" in page
    assert variant.classes[0] in page


@pytest.mark.parametrize("convolution", ["2d", "r2plus1d"])
def test_a_baseline_is_trained_recorded_explained_and_frozen(place: Path, convolution: str) -> None:
    folder = train(place, convolution)
    document = read_run(folder)
    assert document["layers"] == []
    run = document["run"]
    assert (run["convolution"], run["n_temporal"], run["status"]) == (convolution, 0, "ok")
    network = load_model(folder)
    assert sum(p.numel() for p in network.parameters()) == run["n_parameters"]
    clips = torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(clips)
        exported = torch.export.export(freeze_filters(network), (clips,)).module()
        torch.testing.assert_close(exported(clips), expected, rtol=1e-4, atol=1e-5)
    assert "Tran et al." in model_card(folder) or "single frames" in model_card(folder)

    out = explain(place, convolution, place / "out" / convolution)
    drops = read_parquet(out / "faithfulness.parquet")
    assert set(drops["ablation"]) == {"mean"}
    # of R(2+1)D the temporal part ends a layer; of single frames every filter wider than a pixel
    layers = set(drops["layer"])
    assert len(layers) == 17
    assert all(name.endswith(".temporal") for name in layers) == (convolution == "r2plus1d")
    assert read_parquet(out / "channels.parquet").empty
    assert {"gradient", "grad-cam", "filters", "maximised"} <= set(
        read_parquet(out / "images.parquet")["method"]
    )
    variant = collect(folder, out, None)
    assert (variant.first_layer_filters is None) == (convolution == "r2plus1d")
    kind = {"2d": "2D (single frames)", "r2plus1d": "R(2+1)D"}[convolution]
    assert f'"kind": "{kind}"' in explorer([variant], title="A").replace('":"', '": "')
