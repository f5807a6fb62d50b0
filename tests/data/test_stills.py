"""The synthetic stills: a folder of pictures per concept, told apart by form and not by colour."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from threetconv.data.synthetic import scenes, stills
from threetconv.data.synthetic.stills import STILLS, render_still, render_stills
from threetconv.errors import InputError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stills") / "data"
    render_stills(place, images={"train": 35, "val": 17}, size=(24, 37), seed=4)
    return place


def digest(root: Path) -> dict[str, str]:
    files = [p for p in root.rglob("*") if p.is_file()]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_concepts_are_not_the_classes_of_scenes() -> None:
    assert 12 <= len(STILLS) <= 20
    assert list(STILLS) == sorted(set(STILLS))
    assert not {name.lower() for name in STILLS} & {name.lower() for name in scenes.SCENES}


def test_the_layout_is_split_class_number(root: Path) -> None:
    assert {p.name for p in root.iterdir()} == {"train", "val"}
    names = {str(p.relative_to(root)) for p in root.rglob("*.jpg")}
    expected = {f"{split}/{label}/00001.jpg" for split in ("train", "val") for label in STILLS}
    expected |= {f"train/{label}/00002.jpg" for label in STILLS}
    expected |= {f"train/{STILLS[0]}/00003.jpg"}  # 35 = 2 * 17 + 1
    assert names == expected == set(digest(root))


def test_every_picture_has_the_asked_size(root: Path) -> None:
    for path in root.rglob("*.jpg"):
        with Image.open(path) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (37, 24))
            assert np.asarray(picture, float).std() > 5.0


def test_workers_change_no_byte_and_the_seed_does(root: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    render_stills(
        tmp_path / "two",
        images={"train": 35, "val": 17},
        size=(24, 37),
        seed=4,
        workers=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert digest(tmp_path / "two") == digest(root)
    assert seen[-1] == (52, 52)
    render_stills(tmp_path / "other", images={"train": 17, "val": 17}, size=(24, 37), seed=5)
    other = digest(tmp_path / "other")
    assert not set(other.values()) & set(digest(root).values())
    assert len(set(digest(root).values())) == 52


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` pictures of each concept, (N, 32, 32, 3) in 0..1, and their classes (N,)."""
    made = [
        render_still(label, size=(32, 32), rng=np.random.default_rng([seed, k, n]))
        for k, label in enumerate(STILLS)
        for n in range(count)
    ]
    return np.stack(made) / 255.0, np.repeat(np.arange(len(STILLS)), count)


def form(batch: np.ndarray) -> np.ndarray:
    """Edge directions (8 bins in 2x2 quarters) and rings of the spectrum: no colour."""
    grey = batch.mean(axis=-1)
    gy, gx = np.gradient(grey, axis=(1, 2))
    size, direction = np.hypot(gx, gy), np.arctan2(gy, gx) % np.pi
    bins = np.minimum((direction / np.pi * 8).astype(int), 7)
    parts = []
    for k in range(8):
        weight = np.where(bins == k, size, 0.0)
        parts.append(weight.reshape(-1, 2, 16, 2, 16).mean(axis=(2, 4)).reshape(-1, 4))
    edges = np.concatenate(parts, axis=1)
    edges /= np.linalg.norm(edges, axis=1, keepdims=True) + 1e-9
    power = np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    rings = np.stack(
        [
            power[:, (frequency >= f) & (frequency < f + 0.06)].sum(axis=1)
            for f in np.arange(0, 0.5, 0.06)
        ],
        axis=1,
    )
    return np.concatenate([edges, rings / rings.sum(axis=1, keepdims=True)], axis=1)


def colour(batch: np.ndarray) -> np.ndarray:
    return batch.mean(axis=(1, 2))


@pytest.mark.parametrize(("features", "low", "high"), [(form, 0.35, 1.0), (colour, 0.0, 0.15)])
def test_form_tells_the_concept_and_colour_does_not(
    features: Callable[[np.ndarray], np.ndarray], low: float, high: float
) -> None:
    """Nearest class mean on held-out pictures; chance is 1/17 = 0.06."""
    train, labels = pictures(30, 0)
    held_out, truth = pictures(15, 1)
    x, v = features(train), features(held_out)
    scale = x.std(axis=0) + 1e-9
    means = np.stack([x[labels == k].mean(axis=0) for k in range(len(STILLS))])
    nearest = (((v[:, None] - means) / scale) ** 2).sum(axis=-1).argmin(axis=1)
    assert low < (nearest == truth).mean() < high


@pytest.mark.parametrize(
    ("label", "angle"),
    [
        ("stripes_level", 0.0),
        ("stripes_rising", -45.0),
        ("stripes_upright", 90.0),
        ("stripes_falling", 45.0),
    ],
)
def test_gratings_run_in_their_direction(label: str, angle: float) -> None:
    """The structure tensor's weak axis is along the lines (clockwise from level, y down)."""
    for seed in range(12):
        picture = render_still(label, size=(64, 64), rng=np.random.default_rng(seed))
        gy, gx = np.gradient(picture.mean(axis=-1))
        strong = 0.5 * np.arctan2(2 * (gx * gy).sum(), (gx**2).sum() - (gy**2).sum())
        apart = (np.degrees(strong) + 90.0 - angle + 90.0) % 180.0 - 90.0
        assert abs(apart) < 22.5  # nearer to its own direction than to any other


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": (8, 32)}, "at least 16"),
        ({"images": {"train": 5}}, "at least one per class"),
        ({"images": {"training": 50}}, "train and val"),
    ],
)
def test_impossible_settings_are_refused(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    settings = {"images": {"train": 17}, "size": (16, 16), "seed": 0} | change
    with pytest.raises(InputError, match=says):
        render_stills(tmp_path / "data", **settings)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_concept_is_refused() -> None:
    with pytest.raises(InputError, match="stripes_level"):
        render_still("zebra", size=(16, 16), rng=np.random.default_rng(0))


def test_a_renderer_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> np.ndarray:
        raise OSError("disk full")

    monkeypatch.setattr(stills, "render_still", fails)
    with pytest.raises(OSError, match="disk full"):
        render_stills(tmp_path / "data", images={"train": 17}, size=(16, 16), seed=0)
    assert list(tmp_path.iterdir()) == []
