"""2D weights: trained on stills, or fetched."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

from threetconv.errors import InputError
from threetconv.networks.build import build_2d, build_network
from threetconv.support.provenance import file_sha256
from threetconv.training.pretrain_2d import fetch_imagenet, read_stills, train_on_stills
from threetconv.training.settings import Settings

COLOURS = {"blue": (20, 30, 220), "red": (220, 30, 20)}


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for name, colour in COLOURS.items():
            folder = tmp_path / "stills" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(rng.normal(colour, 10, (40, 48, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.jpg")
    return tmp_path / "stills"


SETTINGS = Settings(epochs=2, batch_size=4, learning_rate=0.01)


def test_stills_are_read_and_normalised(stills: Path) -> None:
    images, classes = read_stills(stills, "val", (24, 32))
    assert classes == ["blue", "red"]
    assert len(images) == 6
    (batch, labels), (rest, _) = images([np.array([5, 0]), np.array([1])], epoch=0)
    assert batch.shape == (2, 3, 24, 32)
    assert len(rest) == 1
    assert labels.tolist() == [1, 0]
    assert labels.dtype == torch.int64
    red = [
        (c / 255 - m) / s
        for c, m, s in zip(
            COLOURS["red"], (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True
        )
    ]
    np.testing.assert_allclose(batch[0].mean((1, 2)).numpy(), red, atol=0.15)


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_training_on_stills_gives_weights_for_the_video_network(
    name: str, stills: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "weights" / f"{name}.safetensors"
    with caplog.at_level(logging.INFO, logger="threetconv"):
        train_on_stills(
            name, stills, size=(32, 32), width=0.125, settings=SETTINGS, seed=3, out=out
        )
    assert "best validation accuracy" in caplog.text
    state, start = load_file(out), build_2d(name, num_classes=2, width=0.125, seed=3).state_dict()
    assert set(state) == set(start)
    first = "conv1.weight" if name == "resnet18" else "conv1.conv.weight"
    assert not torch.equal(state[first], start[first])
    network = build_network(
        name, num_classes=4, clip_shape=(8, 32, 32), width=0.125, weights=out, seed=0
    )
    assert torch.equal(network.state_dict()[first], state[first])


def test_the_same_seed_gives_the_same_weights(stills: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.safetensors" for i in range(3)]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        train_on_stills(
            "resnet18", stills, size=(32, 32), width=0.125, settings=SETTINGS, seed=seed, out=file
        )
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()


def test_missing_stills_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        read_stills(tmp_path, "train", (32, 32))


def test_other_classes_in_validation_are_refused(stills: Path, tmp_path: Path) -> None:
    (stills / "val" / "red").rename(stills / "val" / "green")
    with pytest.raises(InputError, match="blue, green"):
        train_on_stills(
            "resnet18",
            stills,
            size=(32, 32),
            width=0.125,
            settings=SETTINGS,
            seed=0,
            out=tmp_path / "out.safetensors",
        )
    assert not (tmp_path / "out.safetensors").exists()


def test_stray_files_are_no_classes(stills: Path) -> None:
    (stills / "train" / "notes.txt").write_text("hello")
    assert read_stills(stills, "train", (32, 32))[1] == ["blue", "red"]


@pytest.mark.parametrize("error", [URLError("no route"), RuntimeError("invalid hash value")])
def test_without_a_network_the_message_names_the_place(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(InputError) as caught:
        fetch_imagenet("resnet18", tmp_path / "out.safetensors", tmp_path / "cache")
    assert str(tmp_path / "cache" / "resnet18-f37072fd.pth") in caught.value.remedy
    assert type(error).__name__ in caught.value.found
    assert not (tmp_path / "out.safetensors").exists()


def test_fetched_weights_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def fetch(url: str, **options: Any) -> dict[str, torch.Tensor]:
        asked.update(options, url=url)
        return {"weight": torch.arange(6.0).view(2, 3).T}

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    fetch_imagenet("googlenet", tmp_path / "out.safetensors", tmp_path / "cache")
    assert "googlenet" in asked["url"]
    assert asked["check_hash"] is True
    assert asked["model_dir"] == str(tmp_path / "cache")
    expected = torch.arange(6.0).view(2, 3).T
    assert torch.equal(load_file(tmp_path / "out.safetensors")["weight"], expected)
    save_file({"weight": expected.contiguous()}, tmp_path / "twin.safetensors")
    assert (tmp_path / "twin.safetensors").read_bytes() == (
        tmp_path / "out.safetensors"
    ).read_bytes()


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that torchvision's entry for resnet18 points to, named by its own hash."""
    folder = tmp_path / "remote"
    folder.mkdir()
    torch.save({"weight": torch.arange(6.0)}, folder / "new.pth")
    digits = file_sha256(folder / "new.pth")[:8]
    file = (folder / "new.pth").rename(folder / f"fake18-{digits}.pth")
    entry = SimpleNamespace(url=file.as_uri())
    monkeypatch.setattr(torchvision.models, "get_weight", lambda _name: entry)
    return file


def test_the_hash_of_a_download_is_verified(remote: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "out.safetensors", tmp_path / "cache"
    fetch_imagenet("resnet18", out, cache)
    assert torch.equal(load_file(out)["weight"], torch.arange(6.0))
    assert [file.name for file in cache.iterdir()] == [remote.name]
    out.unlink()
    shutil.rmtree(cache)
    torch.save({"weight": torch.zeros(6)}, remote)
    with pytest.raises(InputError, match="invalid hash") as caught:
        fetch_imagenet("resnet18", out, cache)
    assert f"put the file at {cache / remote.name} " in caught.value.remedy
    assert list(cache.iterdir()) == []
    assert not out.exists()


def test_a_file_put_by_hand_is_verified_and_used(remote: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "out.safetensors", tmp_path / "cache"
    cache.mkdir()
    place = cache / remote.name
    place.write_bytes(remote.read_bytes())
    remote.unlink()  # there is nothing to download any more
    fetch_imagenet("resnet18", out, cache)
    assert torch.equal(load_file(out)["weight"], torch.arange(6.0))
    out.unlink()
    torch.save({"weight": torch.zeros(6)}, place)
    before = place.read_bytes()
    with pytest.raises(InputError, match="delete the file") as caught:
        fetch_imagenet("resnet18", out, cache)
    assert file_sha256(place) in caught.value.found
    assert place.read_bytes() == before  # the user's; nobody deletes it for them
    assert not out.exists()
    place.unlink()
    with pytest.raises(InputError, match="URLError") as caught:
        fetch_imagenet("resnet18", out, cache)
    assert str(place) in caught.value.remedy


def test_weights_that_cannot_be_verified_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = SimpleNamespace(url="https://example.org/weights.pth")
    monkeypatch.setattr(torchvision.models, "get_weight", lambda _name: entry)
    with pytest.raises(InputError, match="no digits"):
        fetch_imagenet("resnet18", tmp_path / "out.safetensors", tmp_path)


def test_an_unknown_network_has_no_imagenet_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'resnet18'"):
        fetch_imagenet("resnet8", tmp_path / "out.safetensors", tmp_path)
