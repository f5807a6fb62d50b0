"""A table packed into one array: order, skipped clips, full disks, dying workers."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import threetconv
from threetconv.clips.bad_clips import BadClips
from threetconv.clips.packed import open_packed, pack_clips
from threetconv.data.adapters.registry import read_clips
from threetconv.errors import InputError

SIZE = (12, 16)


def write_clip(place: Path, clip: int, frames: int, *, as_video: bool) -> None:
    """Frames whose red tells the clip and whose green tells the frame."""
    pictures = np.zeros((frames, 24, 32, 3), np.uint8)
    pictures[..., 0] = 20 * clip
    pictures[..., 1] = 10 * np.arange(frames).reshape(-1, 1, 1)
    if as_video:
        place.parent.mkdir(parents=True, exist_ok=True)
        with av.open(f"{place}.mkv", "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 24, "bgr0"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode())
        return
    place.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(place / f"{i + 1:05d}.png")


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Clips 0..5 in table order: videos and folders of images in turn; clip 3 is short."""
    root = tmp_path_factory.mktemp("videos")
    names = ("clap/clip0", "clap/clip1", "wave/clip0", "wave/clip1")
    places = [f"train/{name}" for name in names] + ["val/clap/clip0", "val/wave/clip0"]
    for clip, place in enumerate(places):
        write_clip(root / place, clip, 3 if clip == 3 else 9, as_video=clip % 2 == 0)
    return root


@pytest.fixture(scope="module")
def table(videos) -> pd.DataFrame:
    return read_clips("folder", videos)


@pytest.fixture(scope="module")
def packed(table, tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("packed") / "clips.npy"
    return out, pack_clips(table, frames=5, size=SIZE, out=out)


@pytest.fixture
def broken(table, tmp_path) -> pd.DataFrame:
    """The table with clips 1 and 4 broken."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "folder").mkdir()
    (tmp_path / "bad" / "video.mkv").write_bytes(b"not a video")
    paths = list(table["path"])
    paths[1], paths[4] = str(tmp_path / "bad/folder"), str(tmp_path / "bad/video.mkv")
    return table.assign(path=paths)


class TestPack:
    def test_holds_every_clip_in_table_order(self, table, packed):
        out, told = packed
        array = np.load(out)
        assert array.shape == (6, 5, *SIZE, 3)
        assert array.dtype == np.uint8
        assert (array[..., 0] == 20 * np.arange(6).reshape(6, 1, 1, 1)).all()
        green = array[:, :, 5, 5, 1] // 10
        assert green[0].tolist() == [0, 2, 4, 6, 8]
        assert green[3].tolist() == [0, 1, 2, 2, 2]
        assert told["n_frames_read"].tolist() == [9, 9, 9, 3, 9, 9]
        assert told["repeated_frames"].tolist() == [0, 0, 0, 2, 0, 0]
        assert told["row"].tolist() == [0, 1, 2, 3, 4, 5]
        pd.testing.assert_frame_equal(told[table.columns], table)

    def test_does_not_depend_on_workers(self, packed, table, tmp_path, monkeypatch, caplog):
        out, told = packed
        monkeypatch.setattr("threetconv.clips.packed.CLIPS_PER_TASK", 2)
        steps = []
        with caplog.at_level(logging.WARNING):
            again = pack_clips(
                table,
                frames=5,
                size=SIZE,
                out=tmp_path / "again.npy",
                workers=2,
                progress=lambda done, total: steps.append((done, total)),
            )
        assert (tmp_path / "again.npy").read_bytes() == out.read_bytes()
        pd.testing.assert_frame_equal(again, told)
        assert steps == [(2, 6), (4, 6), (6, 6)]
        assert "clip1: 3 frames where 5 are wanted" in caplog.text  # told here, not in a worker
        assert len(caplog.records) == 1

    @pytest.mark.parametrize("workers", [1, 2])
    def test_unreadable_clip_leaves_nothing(self, videos, tmp_path, workers, monkeypatch):
        monkeypatch.setattr("threetconv.clips.packed.CLIPS_PER_TASK", 2)
        shutil.copytree(videos, tmp_path / "videos")
        broken = tmp_path / "videos" / "train" / "wave" / "clip0.mkv"
        broken.write_bytes(b"not a video")
        table = read_clips("folder", tmp_path / "videos")
        with pytest.raises(InputError, match=r"clip0\.mkv") as caught:
            pack_clips(table, frames=5, size=SIZE, out=tmp_path / "o" / "c.npy", workers=workers)
        assert str(broken) in str(caught.value)
        assert "remedy" in str(caught.value)
        assert list((tmp_path / "o").iterdir()) == []

    def test_full_disk_is_told_beforehand(self, table, tmp_path, monkeypatch):
        usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(InputError, match=r"0\.01 GB free") as caught:
            pack_clips(table, frames=30, size=(150, 224), out=tmp_path / "c.npy")
        assert "0.02 GB for 6 clips of 30 frames 150 x 224" in str(caught.value)  # 18.1 MB
        assert "on the fly" in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_script_without_main_guard(self, videos, tmp_path):
        """As Snakemake runs scripts; workers that imported it would run it all again."""
        script = tmp_path / "script.py"
        script.write_text(
            "import sys\n"
            f"sys.path.insert(0, {str(Path(threetconv.__file__).parents[1])!r})\n"
            "from threetconv.data.adapters.registry import read_clips\n"
            "from threetconv.clips.packed import pack_clips\n"
            "import threetconv.clips.packed as packing\n"
            "packing.CLIPS_PER_TASK = 2\n"
            f"table = read_clips('folder', {str(videos)!r})\n"
            f"out = {str(tmp_path / 'c.npy')!r}\n"
            "pack_clips(table, frames=2, size=(4, 4), out=out, workers=2)\n"
            "print('done', 'torch' in sys.modules, __spec__ is None, __file__)\n"
        )
        run = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60
        )
        assert run.stdout == f"done False True {script}\n"

    def test_bad_workers(self, table, tmp_path):
        with pytest.raises(ValueError, match="workers"):
            pack_clips(table, frames=5, size=SIZE, out=tmp_path / "c.npy", workers=0)


class TestBadClips:
    def test_are_left_out_whatever_the_workers(self, broken, packed, tmp_path, monkeypatch, caplog):
        monkeypatch.setattr("threetconv.clips.packed.CLIPS_PER_TASK", 2)
        whole = np.load(packed[0])
        results = []
        for workers in (1, 2):
            bad = BadClips("skip", total=6, ceiling=0.5)
            out, steps = tmp_path / "o" / f"{workers}.npy", []
            with caplog.at_level(logging.WARNING):
                told = pack_clips(
                    broken,
                    frames=5,
                    size=SIZE,
                    out=out,
                    workers=workers,
                    bad=bad,
                    progress=lambda done, total, steps=steps: steps.append((done, total)),
                )
            assert steps == [(2, 6), (4, 6), (6, 6)]
            results.append((told, out.read_bytes(), list(bad.found)))
        told, content, found = results[0]
        pd.testing.assert_frame_equal(results[1][0], told)
        assert results[1][1:] == (content, found)
        assert found == [broken["path"][1], broken["path"][4]]
        assert told["row"].tolist() == [0, 2, 3, 5]
        assert told.index.tolist() == [0, 1, 2, 3]
        assert told["clip_id"].tolist() == broken["clip_id"].iloc[[0, 2, 3, 5]].tolist()
        assert told["n_frames_read"].tolist() == [9, 9, 3, 9]
        assert told["row"].dtype == told["n_frames_read"].dtype == np.int64
        array = np.load(tmp_path / "o" / "1.npy")
        assert np.array_equal(array[told["row"]], whole[told["row"]])
        assert not array[[1, 4]].any()
        assert caplog.text.count("skipped") == 4
        mapped, rows = open_packed(tmp_path / "o" / "1.npy", told, frames=5, size=SIZE)
        assert rows.tolist() == [0, 2, 3, 5]
        assert not mapped.flags.writeable

    @pytest.mark.parametrize("workers", [1, 2])
    def test_too_many_leave_nothing(self, broken, tmp_path, workers, monkeypatch):
        monkeypatch.setattr("threetconv.clips.packed.CLIPS_PER_TASK", 2)
        bad = BadClips("skip", total=6, ceiling=0.2)
        with pytest.raises(InputError, match="2 of 6 clips cannot be read"):
            pack_clips(
                broken, frames=5, size=SIZE, out=tmp_path / "o/c.npy", workers=workers, bad=bad
            )
        assert list((tmp_path / "o").iterdir()) == []

    def test_known_ones_are_not_tried(self, table, tmp_path):
        bad = BadClips("skip", total=6, ceiling=0.2, found={table["path"][2]: "was cut"})
        steps = []
        told = pack_clips(
            table,
            frames=5,
            size=SIZE,
            out=tmp_path / "c.npy",
            bad=bad,
            progress=lambda *step: steps.append(step),
        )
        assert told["row"].tolist() == [0, 1, 3, 4, 5]
        assert steps == [(6, 6)]

    def test_all_of_them(self, broken, tmp_path):
        bad = BadClips("skip", total=2, ceiling=1)
        told = pack_clips(broken.iloc[[1, 4]], frames=5, size=SIZE, out=tmp_path / "c.npy", bad=bad)
        assert told.empty
        assert np.load(tmp_path / "c.npy").shape == (2, 5, *SIZE, 3)


def refuse(code: int, *, after: int = 0):
    """A system call that fails with `code` after so many calls that do nothing but say so."""
    calls = []

    def call(*arguments: object) -> int:
        calls.append(arguments)
        if len(calls) > after:
            raise OSError(code, os.strerror(code))
        return len(memoryview(arguments[1])) if isinstance(arguments[1], memoryview) else 0

    return call


class TestFullDisk:
    """The file system says so at one of three moments; `errno` is all there is to see."""

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT], ids=["disk", "quota"])
    @pytest.mark.parametrize("call", ["posix_fallocate", "pwrite", "fsync"])
    def test_is_told_and_leaves_nothing(self, table, tmp_path, monkeypatch, call, code):
        monkeypatch.setattr(os, call, refuse(code, after=3 if call == "pwrite" else 0))
        usage = shutil.disk_usage(tmp_path)._replace(free=5_120_000_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        out = tmp_path / "o" / "c.npy"
        with pytest.raises(InputError, match=r"a full disk: 5\.12 GB free") as caught:
            pack_clips(table, frames=5, size=SIZE, out=out)
        text = str(caught.value)
        assert caught.value.where == str(out)
        assert "GB for 6 clips of 5 frames 12 x 16" in text
        assert "free some space" in text
        assert list((tmp_path / "o").iterdir()) == []

    def test_space_that_cannot_be_reserved(self, packed, table, tmp_path, monkeypatch):
        """As on some network file systems: written without."""
        monkeypatch.setattr(os, "posix_fallocate", refuse(errno.EOPNOTSUPP))
        pack_clips(table, frames=5, size=SIZE, out=tmp_path / "c.npy")
        assert (tmp_path / "c.npy").read_bytes() == packed[0].read_bytes()

    def test_other_faults_stay_what_they_are(self, table, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "pwrite", refuse(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            pack_clips(table, frames=5, size=SIZE, out=tmp_path / "o" / "c.npy")
        assert list((tmp_path / "o").iterdir()) == []

    def test_writes_in_pieces(self, packed, table, tmp_path, monkeypatch):
        """A write may take less than it was given."""
        write = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda f, data, at: write(f, data[:1000], at))
        pack_clips(table, frames=5, size=SIZE, out=tmp_path / "c.npy")
        assert (tmp_path / "c.npy").read_bytes() == packed[0].read_bytes()


def test_killed_worker_is_told(table, tmp_path, monkeypatch):
    monkeypatch.setattr("threetconv.clips.packed.CLIPS_PER_TASK", 1)
    many = pd.concat([table] * 50, ignore_index=True)

    def kill(done: int, total: int) -> None:
        if done == 1:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    out = tmp_path / "o" / "c.npy"
    with pytest.raises(RuntimeError, match="a worker process died while it read") as caught:
        pack_clips(many, frames=5, size=SIZE, out=out, workers=2, progress=kill)
    assert any(path in str(caught.value) for path in table["path"])
    assert multiprocessing.active_children() == []
    assert list((tmp_path / "o").iterdir()) == []
