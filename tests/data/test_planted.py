"""Planted sets: the class is in one kind of motion alone, the one that it is named after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import map_coordinates
from scipy.stats import ks_2samp

from threetconv.data.adapters.registry import read_clips
from threetconv.data.synthetic import planted
from threetconv.data.synthetic.opposites import OPPOSITES
from threetconv.data.synthetic.planted import (
    MOTIONS,
    OPPOSITE,
    SHAPES,
    render_planted,
    render_planted_clip,
)
from threetconv.errors import InputError

MOVING = [label for motion in ("translation", "rotation", "zoom") for label in MOTIONS[motion]]


def film(label, seed=0, *, frames=8, size=(32, 32)):
    return render_planted_clip(label, frames=frames, size=size, rng=np.random.default_rng(seed))


@pytest.fixture
def alone(monkeypatch):
    """One white shape on black in a large frame; on the plane it starts at 0.4, 0.4."""
    monkeypatch.setattr(planted, "COUNT", (1, 1))
    monkeypatch.setattr(planted, "_colours", lambda _: (np.zeros(3), np.full(3, 255.0)))
    monkeypatch.setattr(planted, "SPEED", dict.fromkeys(planted.SPEED, (0.2, 0.2)))

    class Middle:
        """A generator whose phases are all 0.4."""

        def __init__(self) -> None:
            self._rng = np.random.default_rng(3)

        def random(self, size):
            return np.full(size, 0.4)

        def __getattr__(self, name):
            return getattr(self._rng, name)

    def make(label, frames=5, size=(128, 128)):
        clip = render_planted_clip(label, frames=frames, size=size, rng=Middle())
        return clip[..., 0] / 255.0

    return make


def moments(picture):
    """Mass, centre (x, y) and the direction of the shape's lopsidedness, radians (y down)."""
    h, w = picture.shape
    y, x = np.mgrid[0:h, 0:w]
    mass = picture.sum()
    cx, cy = (picture * x).sum() / mass, (picture * y).sum() / mass
    dx, dy = x - cx, y - cy
    r2 = dx**2 + dy**2  # third moments turn with the shape
    return mass, cx, cy, np.arctan2((picture * r2 * dy).sum(), (picture * r2 * dx).sum())


@pytest.mark.parametrize(("label", "axis", "step"), [
    ("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1),
])  # fmt: skip
def test_a_shape_travels_the_way_its_class_says(alone, label, axis, step):
    clip = alone(label)
    centres = np.array([moments(p)[1:3] for p in clip])
    moved = np.diff(centres, axis=0)
    assert moved[:, axis] == pytest.approx(step * 0.2 * 128 / 4, abs=0.3)
    assert moved[:, 1 - axis] == pytest.approx(0.0, abs=0.1)
    assert np.ptp(clip.sum(axis=(1, 2))) < 0.02 * clip[0].sum()


@pytest.fixture
def texture(monkeypatch):
    """White textures on black, large enough to follow; frame 1 has moved on by `step`."""
    monkeypatch.setattr(planted, "PATCH", 48.0)
    monkeypatch.setattr(planted, "_colours", lambda _: (np.zeros(3), np.full(3, 255.0)))

    def make(label, step, seed=1):
        monkeypatch.setattr(planted, "SPEED", dict.fromkeys(planted.SPEED, (step, step)))
        clip = film(label, seed, frames=2, size=(144, 144))[..., 0] / 255.0
        # the first whole patch: the mosaic begins at a random place
        rng = np.random.default_rng(seed)
        rng.integers(len(SHAPES))
        for _ in planted.SPEED:
            rng.uniform()
        x, y = (48.0 - 48.0 * rng.random() for _ in range(2))
        return clip, (x + 24.0, y + 24.0)

    return make


def around(picture, centre, distance, angle):
    """The picture at that distance (px) and angle (y points down) from the centre."""
    x = centre[0] + distance * np.cos(angle) - 0.5
    y = centre[1] + distance * np.sin(angle) - 0.5
    return map_coordinates(picture, [y, x], order=1)


ANGLES = np.linspace(0, 2 * np.pi, 180, endpoint=False)


@pytest.mark.parametrize(("label", "sign"), [("clockwise", 1), ("counterclockwise", -1)])
def test_textures_turn_about_their_centres_the_way_their_class_says(texture, label, sign):
    clip, centre = texture(label, 0.1)
    for distance in (6.0, 9.0, 12.0):
        before = around(clip[0], centre, distance, ANGLES)
        # y points down, so an angle that grows turns clockwise as seen
        after = around(clip[1], centre, distance, ANGLES + sign * 0.1 * 2 * np.pi)
        wrong = around(clip[1], centre, distance, ANGLES - sign * 0.1 * 2 * np.pi)
        assert np.abs(after - before).mean() < 0.2 * np.abs(wrong - before).mean()


@pytest.mark.parametrize(("label", "sign"), [("growing", 1), ("shrinking", -1)])
def test_textures_grow_or_shrink_by_equal_ratios(texture, label, sign):
    clip, centre = texture(label, 0.4)
    for distance in (6.5, 7.8):  # neither a patch's middle nor its faded rim, in both frames
        before = around(clip[0], centre, distance, ANGLES)
        after = around(clip[1], centre, distance * np.exp(sign * 0.4), ANGLES)
        wrong = around(clip[1], centre, distance * np.exp(-sign * 0.4), ANGLES)
        assert np.abs(after - before).mean() < 0.2 * np.abs(wrong - before).mean()


def test_every_texture_of_a_clip_moves_and_each_about_its_own_centre(texture):
    clip, (x, y) = texture("clockwise", 0.1)
    for column in range(2):
        for row in range(2):
            centre = (x + 48.0 * column, y + 48.0 * row)
            before = around(clip[0], centre, 10.0, ANGLES)
            after = around(clip[1], centre, 10.0, ANGLES + 0.1 * 2 * np.pi)
            assert np.abs(after - before).mean() < 0.03
            assert np.ptp(before) > 0.3


@pytest.mark.parametrize("label", ["still", *SHAPES])
def test_nothing_moves_where_nothing_should(label):
    clip = film(label)
    assert (clip == clip[0]).all()


def test_kinds_of_shapes_are_told_apart_however_they_are_turned():
    """By how much of the circle about them they fill, and how lopsided they are."""

    def picture(kind, turn):
        tracks = np.array([[32.0], [32.0], [20.0], [turn]])
        outline = np.array(SHAPES[kind])
        return planted._cover(tracks, outline, np.ones(1), (64, 64))

    y, x = (np.mgrid[0:64, 0:64] - 31.5) / 20.0
    found = {}
    for kind in SHAPES:
        pictures = [picture(kind, turn) for turn in np.linspace(0, 2 * np.pi, 7)]
        areas = np.array([p.sum() / 400 for p in pictures])
        thirds = np.array([abs((p * (x + 1j * y) ** 3).sum()) / p.sum() for p in pictures])
        twos = np.array([abs((p * (x + 1j * y) ** 2).sum()) / p.sum() for p in pictures])
        for values in (areas, thirds, twos):
            assert np.ptp(values) < 0.03
        found[kind] = areas.mean(), thirds.mean(), twos.mean()
    assert found["bar"] == pytest.approx((1.12, 0.0, (1 - 0.28**2) / 3), abs=0.03)
    assert found["disc"] == pytest.approx((np.pi * 0.64, 0.0, 0.0), abs=0.05)
    assert found["cross"] == pytest.approx((2 * 1.96 * 0.5 - 0.25, 0.0, 0.0), abs=0.05)
    assert found["triangle"][0] == pytest.approx(3 * 3**0.5 / 4, abs=0.03)
    assert found["triangle"][1] > 0.09


def test_opposites_can_be_known_without_numpy() -> None:
    pairs = [pair for motion in MOTIONS for pair in OPPOSITES.get(motion, ())]
    assert {one: other for pair in pairs for one, other in (pair, pair[::-1])} == OPPOSITE


@pytest.mark.parametrize("label", sorted(OPPOSITE))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=3, deadline=None)
def test_opposite_classes_are_each_other_backwards(label, seed):
    assert (film(label, seed) == film(OPPOSITE[label], seed)[::-1]).all()
    assert OPPOSITE[OPPOSITE[label]] == label


@pytest.mark.parametrize("frame", [0, 2])
def test_one_frame_has_the_same_law_in_all_classes(frame):
    """Of features of a first or late frame: covered area, its middle, its spread, its contrast."""

    def features(label, first):
        rows = []
        for seed in range(120):
            picture = film(label, [seed, first], frames=3, size=(16, 16))[frame].astype(float)
            ground = np.median(picture.reshape(-1, 3), axis=0)
            cover = np.abs(picture - ground).sum(axis=-1)
            y, x = np.mgrid[0:16, 0:16]
            mass = cover.sum() + 1e-9
            rows.append(
                (mass, (cover * x).sum() / mass, (cover * y).sum() / mass, cover.max(),
                 np.abs(np.diff(cover, axis=0)).sum())
            )  # fmt: skip
        return np.array(rows).T

    for motion in ("translation", "rotation", "zoom"):
        reference = features(MOTIONS[motion][0], 999)
        for number, label in enumerate(MOTIONS[motion]):
            for one, other in zip(features(label, number), reference, strict=True):
                assert ks_2samp(one, other).pvalue > 1e-4, label


def test_nuisances_do_not_know_the_class():
    """With equal generators the first frames of a set's forward classes are the same picture."""
    for labels in (("right", "down"), ("clockwise", "growing", "still")):
        firsts = [film(label)[0] for label in labels]
        assert all((picture == firsts[0]).all() for picture in firsts)


def test_a_shape_that_leaves_comes_in_on_the_other_side(alone, monkeypatch):
    monkeypatch.setitem(planted.SPEED, "x", (1.0, 1.0))  # once around
    clip = alone("right", frames=17, size=(32, 32))
    assert clip[-1] == pytest.approx(clip[0], abs=0.02)
    assert clip.sum(axis=(1, 2)) == pytest.approx(np.full(17, clip[0].sum()), rel=0.03)


def test_layout_and_bytes(tmp_path: Path):
    for name, workers in (("one", 1), ("two", 2)):
        render_planted(
            tmp_path / name, motion="translation", clips={"train": 9, "val": 4}, frames=(4, 6),
            size=(16, 20), seed=5, workers=workers,
        )  # fmt: skip
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.png"))
    assert files == sorted(
        p.relative_to(tmp_path / "two") for p in (tmp_path / "two").rglob("*.png")
    )
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    table = read_clips("folder", tmp_path / "one")
    assert table.groupby("split").size().to_dict() == {"train": 9, "val": 4}
    assert set(table["label"]) == set(MOTIONS["translation"])
    lengths = [len(list(Path(path).iterdir())) for path in table["path"]]
    assert min(lengths) >= 4
    assert max(lengths) <= 6
    assert len(set(lengths)) > 1
    with Image.open(tmp_path / "one" / files[0]) as picture:
        assert picture.size == (20, 16)


def test_clips_of_a_class_differ_and_seeds_matter(tmp_path: Path):
    for seed in (1, 2):
        render_planted(
            tmp_path / str(seed), motion="none", clips={"train": 8, "val": 4}, frames=(2, 2),
            size=(16, 16), seed=seed,
        )  # fmt: skip
    first = {p.read_bytes() for p in (tmp_path / "1").rglob("00001.png")}
    assert len(first) == 12
    assert not first & {p.read_bytes() for p in (tmp_path / "2").rglob("00001.png")}


def test_progress_is_reported(tmp_path: Path):
    seen: list[tuple[int, int]] = []
    render_planted(
        tmp_path / "x", motion="zoom", clips={"train": 3, "val": 3}, frames=(2, 2), size=(16, 16),
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(k, 6) for k in range(1, 7)]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"motion": "sliding"}, "planted motion"),
        ({"clips": {"train": 2, "val": 4}}, "at least one per class"),
        ({"clips": {"test": 8}}, "train and val"),
        ({"frames": (1, 4)}, "least"),
        ({"frames": (6, 4)}, "least"),
        ({"size": (8, 32)}, "at least 16"),
    ],
)
def test_bad_settings(tmp_path: Path, changes, word):
    arguments = {"motion": "rotation", "clips": {"train": 4, "val": 4}} | changes
    with pytest.raises(InputError, match=word):
        render_planted(tmp_path / "x", **arguments)
    assert not (tmp_path / "x").exists()


def test_unknown_class():
    with pytest.raises(InputError, match="planted class"):
        film("sideways")
