"""The synthetic scenes: UCF101's layout to the letter, class in the appearance, none in motion."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from threetconv.data.adapters.registry import read_clips
from threetconv.data.synthetic import scenes
from threetconv.data.synthetic.camera import Motion, draw_motion, margin
from threetconv.data.synthetic.drawing import Canvas, recolour
from threetconv.data.synthetic.scenes import SCENES, render_scene_clip, render_scenes, write_avi
from threetconv.errors import InputError

SMALL = {"classes": 3, "frames": (4, 7), "size": (32, 48), "seed": 5}
STILL_MOTION = Motion(**dict.fromkeys((f.name for f in dataclasses.fields(Motion)), 0.0))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scenes") / "data"
    render_scenes(place, clips={"train": 62, "val": 23}, **SMALL)
    return place


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def digest(root: Path) -> dict[str, str]:
    files = [p for p in root.rglob("*") if p.is_file()]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_there_are_101_distinct_camel_case_names() -> None:
    assert len(SCENES) == len(set(SCENES)) == 101
    assert all(re.fullmatch(r"[A-Z][a-z]+[A-Z][a-z]+", name) for name in SCENES)
    # the order is part of the data: class numbers of earlier renderings must keep their meaning
    assert SCENES[:5] == ("MeadowTree", "HarbourBoat", "CityCar", "ReefFish", "MeadowSheep")
    places = Counter(re.findall("[A-Z][a-z]+", name)[0] for name in SCENES[:8])
    assert set(places.values()) == {2}  # the place alone does not tell the first classes apart


def test_the_lists_are_those_of_ucf101(root: Path) -> None:
    labels = ["MeadowTree", "HarbourBoat", "CityCar"]
    index = "1 MeadowTree\n2 HarbourBoat\n3 CityCar\n"
    assert (root / "classInd.txt").read_text() == index
    train = (root / "trainlist01.txt").read_text().splitlines()
    test = (root / "testlist01.txt").read_text().splitlines()
    # 62 over 3 classes: 21, 21, 20; groups 8..25, then a second clip in groups 8, 9, 10
    first = [f"MeadowTree/v_MeadowTree_g{g:02d}_c01.avi 1" for g in range(8, 26)]
    first += [f"MeadowTree/v_MeadowTree_g{g:02d}_c02.avi 1" for g in (8, 9, 10)]
    assert train[:21] == sorted(first)
    assert test[0] == "MeadowTree/v_MeadowTree_g01_c01.avi"
    assert test[1] == "MeadowTree/v_MeadowTree_g01_c02.avi"
    assert Counter(line.split("/")[0] for line in train) == dict(
        zip(labels, (21, 21, 20), strict=True)
    )
    assert Counter(line.split("/")[0] for line in test) == dict(zip(labels, (8, 8, 7), strict=True))
    numbers = {line.split("/")[0]: line.split()[1] for line in train}
    assert numbers == {"MeadowTree": "1", "HarbourBoat": "2", "CityCar": "3"}
    groups = [{re.search(r"_g(\d\d)_", line)[1] for line in lines} for lines in (train, test)]
    assert not groups[0] & groups[1]
    listed = {line.split()[0] for line in train + test}
    assert listed == {str(p.relative_to(root)) for p in root.rglob("*.avi")}
    assert {p.name for p in root.iterdir()} == {
        *labels,
        "classInd.txt",
        "trainlist01.txt",
        "testlist01.txt",
    }


def test_the_adapter_reads_what_was_rendered(root: Path) -> None:
    table = read_clips("ucf101", root, selection="test")
    assert table.groupby("split").size().to_dict() == {"train": 62, "val": 23}
    assert all(Path(p).is_file() for p in table["path"])


@pytest.mark.parametrize(("clips", "classes"), [(62, 3), (12, 3), (6, 3)])
def test_the_training_list_has_groups_to_hold_out(tmp_path: Path, clips: int, classes: int) -> None:
    settings_ = SMALL | {"classes": classes, "frames": (1, 1), "size": (16, 16)}
    render_scenes(tmp_path / "data", clips={"train": clips, "val": classes}, **settings_)
    table = read_clips("ucf101", tmp_path / "data")
    held = table[table["split"] == "val"]
    assert held["label"].nunique() == classes
    assert abs(len(held) - 0.1 * clips) <= classes * 0.9
    assert table["split"].value_counts()["test"] == classes


def test_every_file_is_a_video_of_the_asked_size_and_length(root: Path) -> None:
    lengths = Counter()
    for path in sorted(root.rglob("*.avi")):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "mpeg4"
            assert stream.average_rate == 25
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
            assert stream.frames == len(frames)
        assert {f.shape for f in frames} == {(32, 48, 3)}
        lengths[len(frames)] += 1
    assert set(lengths) == {4, 5, 6, 7}


def test_the_file_holds_the_rendered_clip(tmp_path: Path) -> None:
    clip = render_scene_clip("ReefFish", frames=9, size=(64, 64), rng=np.random.default_rng(3))
    assert clip.shape == (9, 64, 64, 3)
    assert clip.dtype == np.uint8
    grey = np.repeat(clip.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    write_avi(tmp_path / "grey.avi", grey)
    difference = np.abs(decode(tmp_path / "grey.avi").astype(int) - grey)
    assert difference.mean() < 2.3  # 2.0 at quantiser 2, 2.5 at 3 (luma only; chroma is subsampled)
    # frame k is frame k: every decoded frame is nearest to its own original
    decoded = decode(tmp_path / "grey.avi").astype(float)
    apart = np.abs(decoded[:, None] - grey[None]).mean(axis=(2, 3, 4))
    assert apart.argmin(axis=1).tolist() == list(range(9))


def test_workers_and_class_count_change_no_byte(root: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    render_scenes(
        tmp_path / "two",
        clips={"train": 62, "val": 23},
        **SMALL,
        workers=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert digest(tmp_path / "two") == digest(root)
    assert seen[-1] == (85, 85)
    assert seen == sorted(seen)
    # a clip depends on its own class and number only
    fewer = SMALL | {"classes": 2}
    render_scenes(tmp_path / "fewer", clips={"train": 2, "val": 2}, **fewer)
    name = "HarbourBoat/v_HarbourBoat_g08_c01.avi"
    assert digest(tmp_path / "fewer")[name] == digest(root)[name]
    other = fewer | {"seed": 6}
    render_scenes(tmp_path / "other", clips={"train": 2, "val": 2}, **other)
    assert digest(tmp_path / "other")[name] != digest(root)[name]


def test_no_two_clips_are_equal(root: Path) -> None:
    hashes = [h for name, h in digest(root).items() if name.endswith(".avi")]
    assert len(set(hashes)) == len(hashes)


def motions_of(monkeypatch: pytest.MonkeyPatch, root: Path, clips: int) -> dict[str, np.ndarray]:
    """Motion parameters and lengths of a rendered set, by class, as the renderer used them."""
    drawn: dict[str, list[tuple[float, ...]]] = {}
    current: list[str] = []

    def film(
        still: object, sprite: object, motion: Motion, frames: int, size: tuple[int, int]
    ) -> np.ndarray:
        drawn.setdefault(current[-1], []).append((*dataclasses.astuple(motion), frames))
        return np.zeros((frames, *size, 3), np.uint8)

    real = scenes.render_scene_clip

    def render(label: str, **options: object) -> np.ndarray:
        current.append(label)
        return real(label, **options)

    monkeypatch.setattr(scenes, "_film", film)
    monkeypatch.setattr(scenes, "_still", lambda *_: None)
    monkeypatch.setattr(scenes, "_sprite", lambda *_: None)
    monkeypatch.setattr(scenes, "render_scene_clip", render)
    monkeypatch.setattr(scenes, "write_avi", lambda path, clip: None)
    sizes = {"frames": (4, 9), "size": (16, 16)}
    render_scenes(root, clips={"train": clips}, classes=8, seed=1, **sizes)
    return {label: np.array(rows) for label, rows in drawn.items()}


def test_motion_has_the_same_distribution_in_every_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    motions = motions_of(monkeypatch, tmp_path / "data", 8 * 150)
    assert {rows.shape for rows in motions.values()} == {(150, 21)}
    values = np.stack(list(motions.values()))  # class, clip, parameter
    assert (values.std(axis=(0, 1)) > 0).all()  # every parameter moves
    p = [stats.kruskal(*values[:, :, k]).pvalue for k in range(21)]
    assert min(p) > 0.001 / 21
    # and a classifier that sees every parameter stays at chance
    scaled = (values - values.mean(axis=(0, 1))) / values.std(axis=(0, 1))
    centres = scaled[:, :100].mean(axis=1)
    apart = ((scaled[:, 100:, None] - centres) ** 2).sum(axis=-1)
    right = (apart.argmin(axis=-1) == np.arange(8)[:, None]).mean()
    assert abs(right - 1 / 8) < 4 * math.sqrt(7 / 64 / 400)


def test_motion_is_drawn_before_anything_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Motion] = []
    film = scenes._film

    def spy(*arguments: object) -> np.ndarray:
        seen.append(arguments[2])
        return film(*arguments)

    monkeypatch.setattr(scenes, "_film", spy)
    for label in SCENES[::20]:
        render_scene_clip(label, frames=2, size=(16, 16), rng=np.random.default_rng(8))
    assert len(seen) == 6
    assert len(set(seen)) == 1


def centroid(frame: np.ndarray) -> tuple[float, float]:
    """Centre of light in pixels from the upper left corner."""
    weight = frame.astype(float).sum(axis=-1)
    y, x = np.indices(weight.shape) + 0.5
    return float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())


def seen_through(motion: Motion, *, blob: tuple[float, float] | None) -> tuple[float, float]:
    """Where the first of 3 frames of 60x80 shows a spot of the scene, or else the object."""
    height, width = 60, 80
    side, rise = margin(width / height)
    canvas = Canvas(
        (-0.5 * width / height - side, -rise, 0.5 * width / height + side, 1 + rise),
        density=scenes.FINER * height,
        oversample=4,
    )
    sprite = Canvas((-0.54, -0.54, 0.54, 0.54), density=40, oversample=4, transparent=True)
    if blob is None:
        sprite.disc(0.0, 0.0, 0.2, (255, 255, 255))
    else:
        canvas.disc(blob[0], 0.5 + blob[1], 0.05, (255, 255, 255))
    film = scenes._film(canvas.finish(), sprite.finish(), motion, 3, (height, width))
    return centroid(film[0])


@pytest.mark.parametrize("spot", ["scene", "object"])
def test_camera_and_object_are_where_the_motion_says(spot: str) -> None:
    motion = dataclasses.replace(
        STILL_MOTION,
        pan_x=0.2,
        pan_y=-0.1,
        turn=0.3,
        zoom=0.3,
        object_x=0.1,
        object_y=-0.1,
        object_dx=0.1,
        object_size=0.4,
    )
    # in the first frame the camera stands at minus half its travel; what it shows is moved and
    # turned the other way, and magnified
    zoom = 1.05 * math.exp(-0.15)
    target = (0.1, -0.12) if spot == "scene" else (0.1 - 0.05, -0.1)
    offset = complex(target[0] + 0.1, target[1] - 0.05) * np.exp(1j * 0.15) * zoom * 60
    x, y = seen_through(motion, blob=target if spot == "scene" else None)
    assert (x, y) == pytest.approx((40 + offset.real, 30 + offset.imag), abs=0.35)


@given(seed=st.integers(0, 2**32 - 1), aspect=st.floats(0.5, 2.5), frames=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_the_camera_never_leaves_the_scene(seed: int, aspect: float, frames: int) -> None:
    motion = draw_motion(np.random.default_rng(seed), aspect=aspect)
    side, rise = margin(aspect)
    for x, y, turn, zoom in zip(*motion.camera(frames), strict=True):
        for corner in (complex(a * aspect, b) for a in (-0.5, 0.5) for b in (-0.5, 0.5)):
            point = corner * np.exp(1j * turn) / zoom + complex(x, y)
            assert abs(point.real) <= 0.5 * aspect + side + 1e-9
            assert abs(point.imag) <= 0.5 + rise + 1e-9


def test_one_frame_tells_the_class(tmp_path: Path) -> None:
    """Nearest class mean over 8x8 colours of one decoded frame, on held-out clips."""
    sizes = {"frames": (3, 3), "size": (32, 32)}
    render_scenes(tmp_path / "d", clips={"train": 240, "val": 80}, classes=8, seed=2, **sizes)
    table = read_clips("ucf101", tmp_path / "d")
    frames = np.stack([decode(Path(p))[1] for p in table["path"]]) / 255.0
    small = frames.reshape(-1, 8, 4, 8, 4, 3).mean(axis=(2, 4)).reshape(len(frames), -1)
    train = (table["split"] == "train").to_numpy()
    labels = table["label"].to_numpy()
    names = sorted(set(labels))
    means = np.stack([small[train & (labels == name)].mean(axis=0) for name in names])
    nearest = ((small[~train, None] - means) ** 2).sum(axis=-1).argmin(axis=1)
    assert (np.array(names)[nearest] == labels[~train]).mean() > 0.5  # chance is 1/8


def test_objects_and_places_differ_from_each_other() -> None:
    def sprite(name: str) -> np.ndarray:
        canvas = Canvas((-0.54, -0.54, 0.54, 0.54), density=30, transparent=True)
        scenes.OBJECTS[name](canvas, np.random.default_rng(0))
        picture = np.asarray(canvas.finish(), float)
        assert 0.08 < (picture[..., 3] > 128).mean() < 0.8  # something, and not a full square
        return picture[..., :3] * picture[..., 3:] / 255.0

    pictures = {name: sprite(name) for name in scenes.OBJECTS}
    names = list(pictures)
    for k, a in enumerate(names):
        for b in names[:k]:
            assert np.abs(pictures[a] - pictures[b]).mean() > 12.0, (a, b)


def test_recolour_turns_hues_and_keeps_greys_and_alpha() -> None:
    red, grey = Image.new("RGBA", (1, 1), (200, 50, 50, 77)), Image.new("RGB", (1, 1), (90, 90, 90))
    assert recolour(red, 2 * math.pi / 3).getpixel((0, 0)) == (50, 200, 50, 77)
    assert recolour(red, 0.0).getpixel((0, 0)) == (200, 50, 50, 77)
    assert np.abs(np.subtract(recolour(grey, 1.1).getpixel((0, 0)), 90)).max() <= 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": 1}, "2 to 101"),
        ({"classes": 102}, "2 to 101"),
        ({"frames": (0, 4)}, "1 <= least"),
        ({"frames": (6, 4)}, "least <= greatest"),
        ({"size": (33, 48)}, "even"),
        ({"size": (8, 8)}, "at least 16"),
        ({"clips": {"train": 2}}, "at least one per class"),
        ({"clips": {"train": 9, "test": 9}}, "train and val"),
    ],
)
def test_impossible_settings_are_refused(
    tmp_path: Path, change: dict[str, object], says: str
) -> None:
    settings = {"clips": {"train": 3, "val": 3}, **SMALL} | change
    with pytest.raises(InputError, match=says):
        render_scenes(tmp_path / "data", **settings)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scene_is_refused() -> None:
    with pytest.raises(InputError, match="MoonCow"):
        render_scene_clip("MoonCow", frames=2, size=(16, 16), rng=np.random.default_rng(0))


def test_data_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.avi").write_text("precious")
    with pytest.raises(InputError, match="something is there"):
        render_scenes(tmp_path / "data", clips={"train": 3}, **SMALL)
    assert (tmp_path / "data" / "mine.avi").read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_renderer_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = scenes.write_avi, []

    def fails_third(path: Path, clip: np.ndarray) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError("disk full")
        real(path, clip)

    monkeypatch.setattr(scenes, "write_avi", fails_third)
    with pytest.raises(OSError, match="disk full"):
        render_scenes(tmp_path / "data", clips={"train": 6, "val": 3}, **SMALL)
    assert len(calls) == 3
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    render_scenes(tmp_path / "data", clips={"train": 3}, **SMALL)
    assert (tmp_path / "data" / "testlist01.txt").read_text() == ""
    assert len(list((tmp_path / "data").rglob("*.avi"))) == 3
    assert (tmp_path / "data").stat().st_mode & 0o700 == 0o700
