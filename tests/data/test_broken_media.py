"""Whatever keeps a clip from being read is told as that clip's, fast, and can be skipped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from threetconv.cli.app import app
from threetconv.clips.bad_clips import BadClips
from threetconv.clips.dataset import ClipDataset
from threetconv.clips.packed import pack_clips
from threetconv.data.checks.inspection import inspect_clip
from threetconv.data.decoding import clip_files, decode, images
from threetconv.data.decoding.clip_files import Limits, told_as
from threetconv.data.decoding.decode import decode_clip, read_frames
from threetconv.errors import InputError

from ..builders.broken_media import CONTENTS, FILES, VIDEOS, frame_folders, saved, videos
from ..builders.media_files import corners, corners_picture, write_video
from ..cli.test_data import STUDY

SECOND = 1.0


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> dict[str, str]:
    """Path of a clip -> what must be found."""
    root = tmp_path_factory.mktemp("broken")
    made = {"frames": frame_folders(root / "frames"), "videos": videos(root / "videos")}
    return {
        str(root / kind / name): found
        for kind, clips in made.items()
        for name, found in clips.items()
    }


@pytest.fixture
def film(tmp_path) -> Path:
    return write_video(tmp_path / "film.mkv", "ffv1", "gray", [corners_picture()] * 6)


NAMES = [*CONTENTS, *FILES, *VIDEOS]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_bad_clip_at_once(broken, name):
    (path,) = (path for path in broken if Path(path).name == name)
    started = time.thread_time()
    for quick in (False, True) if Path(path).is_file() else (False,):
        assert broken[path] in inspect_clip(path, quick=quick).problem
    with pytest.raises(InputError) as caught:
        decode_clip(path, frames=8, size=(8, 8))
    assert broken[path] in str(caught.value)
    assert caught.value.where.startswith(path)
    assert time.thread_time() - started < SECOND


def test_little_memory_and_no_program_is_started(broken, tmp_path):
    """In a process of its own, whose PATH has a `gs` that would leave a trace."""
    ghost = tmp_path / "bin" / "gs"
    ghost.parent.mkdir()
    ghost.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    ghost.chmod(0o755)
    code = (
        "import resource, sys; from threetconv.data.checks.inspection import inspect_clip\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "inspect_clip(sys.argv[1]); before = peak()\n"
        "print(sum(bool(inspect_clip(p).problem) for p in sys.argv[1:]), peak() - before)"
    )
    env = os.environ | {"PATH": f"{ghost.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", code, *broken], env=env, capture_output=True, text=True, check=True
    )
    count, kilobytes = map(int, done.stdout.split())
    assert count == len(broken)
    assert kilobytes < 50_000
    assert not (tmp_path / "started").exists()


def good_clips(root: Path, count: int) -> list[str]:
    for i in range(count):
        (root / f"good{i}").mkdir(parents=True)
        Image.new("RGB", (20, 10), (i, 40, 80)).save(root / f"good{i}" / "1.png")
    return [str(root / f"good{i}") for i in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_packing_leaves_out_exactly_these(broken, tmp_path, workers):
    good = good_clips(tmp_path, 3)
    paths = [good[0], *list(broken)[::2], good[1], *list(broken)[1::2], good[2]]
    table = pd.DataFrame({"path": paths, "label": "A", "split": "train"})
    bad = BadClips("skip", total=len(table), ceiling=1.0)
    packed = pack_clips(
        table, frames=2, size=(8, 8), out=tmp_path / "c.npy", workers=workers, bad=bad
    )
    assert packed["path"].tolist() == good
    assert set(bad.found) == set(broken)
    assert all(broken[path] in found for path, found in bad.found.items())


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_leaves_them_out(broken, tmp_path, workers):
    good = good_clips(tmp_path, 2)
    paths = [good[0], *broken, good[1]]
    table = pd.DataFrame({"path": paths, "label": "A", "split": "train"})
    bad = BadClips("skip", total=len(table), ceiling=1.0)
    with ClipDataset(table, frames=2, size=(8, 8), bad=bad) as data:
        clips = list(data.stream(range(len(paths)), workers=workers, ahead=4))
    assert [i for i, clip in enumerate(clips) if clip is not None] == [0, len(paths) - 1]
    assert set(bad.found) == set(broken)


def test_data_check_lists_each(tmp_path, monkeypatch):
    """In the layout of plain folders, which hold regular files only."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "500")
    root = tmp_path / "set"
    for split in ("train", "val"):
        good_clips(root / split / "A", 2)
    films = videos(tmp_path / "films")
    expected = {str(root / "train/A" / n): f for n, f in frame_folders(root / "train/A").items()}
    for path, found in films.items():
        source = tmp_path / "films" / path
        if source.is_file():
            source.rename(root / "train/A" / source.name)
            expected[str(root / "train/A" / source.name)] = found
    shape = {"clip": {"frames": 8, "height": 16, "width": 16}}
    study = STUDY | {
        "output": {"results": str(tmp_path / "results"), "reports": str(tmp_path / "reports")},
        "datasets": {"kitchen": shape | {"adapter": "folder", "root": str(root)}},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    arguments = ["data", "check", str(tmp_path / "study.yaml"), "--csv", str(tmp_path / "f.csv")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    csv = pd.read_csv(tmp_path / "f.csv", keep_default_na=False)
    (line,) = csv[csv["check"] == "unreadable"].itertuples()
    assert line.count == len(expected) >= 25
    told = dict(each.split(": ", 1) for each in line.examples.split("\n"))
    assert told.keys() == expected.keys()
    assert all(expected[path] in what for path, what in told.items())
    assert all(Path(path).name in result.stdout for path in expected)


class TestWhatTheSystemRefuses:
    @pytest.fixture
    def frames(self, tmp_path) -> Path:
        return Path(good_clips(tmp_path, 1)[0])

    def check(self, path: Path, found: str) -> None:
        for quick in (False, True):
            assert found in inspect_clip(path, quick=quick).problem
        with pytest.raises(InputError) as caught:
            decode_clip(path, frames=1, size=(8, 8))
        assert str(path) in caught.value.where
        assert found in caught.value.found

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_permission(self, frames, film):
        for path in (film, frames / "1.png", frames):
            path.chmod(0)
            try:
                self.check(frames if path != film else film, "Permission denied")
            finally:
                path.chmod(0o700)

    @pytest.mark.parametrize("place", ["listdir", "stat", "open"])
    def test_permission_as_any_user(self, frames, monkeypatch, place):
        def refuse(*arguments: object, **more: object) -> None:
            raise PermissionError(13, "Permission denied", "somewhere")

        module = clip_files if place == "stat" else images
        real = os
        stand_in = type("os", (), {n: getattr(real, n) for n in dir(real) if n[0] != "_"})
        setattr(stand_in, place, staticmethod(refuse))
        monkeypatch.setattr(module, "os", stand_in)
        self.check(frames, "PermissionError: Permission denied")

    @pytest.mark.parametrize("kind", ["film", "frames"])
    def test_memory(self, kind, request, monkeypatch):
        def put(*arguments: object) -> None:
            raise MemoryError

        monkeypatch.setattr(images.Stack, "put", put)
        self.check(request.getfixturevalue(kind), "cannot be decoded (MemoryError)")

    def test_an_interrupt_goes_through(self, film, monkeypatch):
        def put(*arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(images.Stack, "put", put)
        with pytest.raises(KeyboardInterrupt):
            decode_clip(film, frames=1, size=(8, 8))


class TestMessages:
    def test_the_fault_stands_behind_and_is_cut(self):
        with pytest.raises(InputError) as caught, told_as("a", "b", expected="c", remedy="d"):
            raise AttributeError("x\x1b[31m\n" + 500 * "y")
        assert isinstance(caught.value.__cause__, AttributeError)
        assert caught.value.found.startswith("b (AttributeError: x?[31m yyy")
        assert caught.value.found.endswith("yyy...)")
        assert len(caught.value.found) == 204

    def test_wrong_arguments_are_no_bad_clip(self, film):
        with pytest.raises(ValueError, match="offset must be") as caught:
            decode_clip(film, frames=1, size=(8, 8), sampling="random-offset", offset=1.5)
        assert not isinstance(caught.value, InputError)

    @pytest.mark.parametrize("name", ["concat:a|b.mkv", "-x.mkv", "a%03d.mkv", "https:a.mkv"])
    def test_names_are_names(self, film, monkeypatch, name):
        film.rename(film.with_name(name))
        monkeypatch.chdir(film.parent)
        assert decode_clip(name, frames=2, size=(8, 8)).source_frames == 6


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "found"),
        [
            (Limits(pixels=5119), "80 x 64 pixels, more than the 5,119 allowed"),
            (Limits(video_bytes=700), "bytes, more than the 700 allowed"),
            (Limits(frames=5), "more than 5 packets"),
            (Limits(seconds=-1.0), "more than -1 s to decode it"),
        ],
        ids=str,
    )
    def test_of_a_film(self, film, limits, found):
        with pytest.raises(InputError) as caught:
            read_frames(film, frames=2, size=(8, 8), limits=limits)
        assert found in caught.value.found
        assert caught.value.where == str(film)

    @pytest.mark.parametrize(
        ("limits", "found"),
        [
            (Limits(pixels=5119), "80 x 64 pixels, more than the 5,119 allowed"),
            (Limits(image_bytes=99), "bytes, more than the 99 allowed"),
            (Limits(frames=1), "2 images, more than the 1 allowed"),
            (Limits(seconds=-1.0), "more than -1 s to decode it"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("kind", ["PNG", "JPEG"])
    def test_of_frames(self, tmp_path, kind, limits, found):
        for i in range(2):
            (tmp_path / f"{i}.png").write_bytes(saved(kind))
        with pytest.raises(InputError) as caught:
            read_frames(tmp_path, frames=2, size=(8, 8), limits=limits)
        assert found in caught.value.found

    def test_just_within(self, film, tmp_path):
        limits = Limits(pixels=5120, video_bytes=film.stat().st_size, frames=6)
        assert decode_clip(film, frames=1, size=(8, 8), limits=limits).source_frames == 6

    def test_frames_of_one_packet_count(self, film):
        """A packet may hold several frames, so both are counted."""
        container, stream = decode._open(film, Limits())
        with container:
            packets = list(container.demux(stream))
            with pytest.raises(clip_files.RefusedError, match="more than 3 frames"):
                list(decode._decoded(film, packets, Limits(frames=3)))

    def test_an_index_that_names_the_same_bytes_again(self, film, monkeypatch):
        monkeypatch.setattr(decode, "SWELLING_FROM", 500)
        monkeypatch.setattr(decode, "SWELLING", 0)
        with pytest.raises(InputError, match="a stream of more than 500 bytes in a file of"):
            decode_clip(film, frames=1, size=(8, 8))


def test_pictures_of_several_in_one_jpeg(tmp_path):
    """What phones write (MPO): the first one is the picture."""
    first = Image.fromarray(corners_picture())
    second = Image.new("RGB", first.size)
    first.save(tmp_path / "1.mpo", "MPO", save_all=True, append_images=[second], quality=95)
    (tmp_path / "1.mpo").rename(tmp_path / "1.jpg")
    (frame,) = read_frames(tmp_path, frames=1, size=None)
    assert corners(frame) == "RGBY"


def _spoilt(whole: bytes, rng: np.random.Generator) -> bytes:
    raw = bytearray(whole)
    for _ in range(int(rng.integers(1, 8))):
        i = int(rng.integers(len(raw)))
        kind = rng.random()
        if kind < 0.5:
            raw[i] = int(rng.integers(256))
        elif kind < 0.8:
            raw[i : i + 4] = (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff")[int(rng.integers(3))]
        else:
            del raw[i : i + int(rng.integers(1, 40))]
    return bytes(raw)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Pillow's, about damaged EXIF
@pytest.mark.parametrize("seed", [1, None], ids=["fixed", "fresh"])
def test_spoilt_files_are_good_or_bad_clips(tmp_path, seed):
    seed = int.from_bytes(os.urandom(4)) if seed is None else seed
    rng = np.random.default_rng(seed)
    films = [
        write_video(tmp_path / name, codec, "yuv420p", [corners_picture()] * 5, **options)
        for name, codec, options in (
            ("a.avi", "mpeg4", {"bf": "2"}), ("a.mp4", "libx264", {}), ("b.mkv", "mpeg4", {}),
            ("a.webm", "libvpx-vp9", {"cpu-used": "8"}),
        )
    ]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = 7
    pictures = [saved("PNG"), saved("JPEG"), saved("JPEG", exif=exif)]
    (tmp_path / "frames").mkdir()
    counts = {"good": 0, "bad": 0}
    for i in range(3000):
        if i % 2:
            film = films[int(rng.integers(len(films)))]
            path = film.with_stem("spoilt")
            path.write_bytes(_spoilt(film.read_bytes(), rng))
        else:
            path = tmp_path / "frames"
            picture = pictures[int(rng.integers(len(pictures)))]
            (path / "1.png").write_bytes(_spoilt(picture, rng))
        started = time.thread_time()
        try:
            decode_clip(path, frames=3, size=(8, 8))
            counts["good"] += 1
        except InputError:
            counts["bad"] += 1
        assert time.thread_time() - started < 5 * SECOND, (seed, i)
    assert min(counts.values()) > 100, (seed, counts)
