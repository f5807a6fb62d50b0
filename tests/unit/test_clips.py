from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import threetconv
from threetconv.clips import (
    IMAGENET_MEAN,
    IMAGENET_SD,
    ClipDataset,
    batches,
    normalise,
    pack_clips,
    read_frames,
)
from threetconv.data import read_clips
from threetconv.errors import InputError

SIZE = (12, 16)


def picture(clip: int, frame: int) -> np.ndarray:
    """Red tells the clip, green the frame."""
    image = np.zeros((24, 32, 3), np.uint8)
    image[..., 0], image[..., 1] = 20 * clip, 10 * frame
    return image


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Two classes, train and val; clips 0..5 in table order; AVI, MKV and folders of images."""
    root = tmp_path_factory.mktemp("videos")
    clip = 0
    for split, count in (("train", 2), ("val", 1)):
        for label in ("clap", "wave"):
            for k in range(count):
                place = root / split / label / f"clip{k}"
                frames = [picture(clip, i) for i in range(3 if clip == 3 else 9)]
                write_clip(place, frames, as_video=clip % 2 == 0)
                clip += 1
    return root


def write_clip(place: Path, frames: list[np.ndarray], *, as_video: bool) -> None:
    if not as_video:
        place.mkdir(parents=True)
        for i, frame in enumerate(frames):
            Image.fromarray(frame).save(place / f"{i + 1:05d}.png")
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with av.open(f"{place}.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 32, 24, "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def table(videos) -> pd.DataFrame:
    return read_clips("folder", videos)


@pytest.fixture(scope="module")
def packed(table, tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("packed") / "clips.npy"
    return out, pack_clips(table, frames=5, size=SIZE, out=out)


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
        monkeypatch.setattr("threetconv.packing.CLIPS_PER_TASK", 2)
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
        monkeypatch.setattr("threetconv.packing.CLIPS_PER_TASK", 2)
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
            "from threetconv.data import read_clips\n"
            "from threetconv.packing import pack_clips\n"
            "import threetconv.packing as packing\n"
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


class TestNormalise:
    def test_known_answer(self):
        clips = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), dtype=np.uint8)
        out = normalise(clips)
        assert out.shape == (2, 3, 3, 4, 5)
        assert out.dtype == torch.float32
        assert out.is_contiguous()
        for b, c, t, y, x in [(0, 0, 0, 0, 0), (1, 2, 2, 3, 4), (0, 1, 2, 1, 3)]:
            mean, sd = IMAGENET_MEAN[c], IMAGENET_SD[c]
            want = (int(clips[b, t, y, x, c]) / 255 - mean) / sd
            assert float(out[b, c, t, y, x]) == pytest.approx(want, abs=1e-6)

    def test_constants(self):
        """The values that torchvision's own weights were trained with."""
        from torchvision.models import ResNet18_Weights  # noqa: PLC0415 (slow to import)

        transform = ResNet18_Weights.IMAGENET1K_V1.transforms()
        assert list(IMAGENET_MEAN) == transform.mean
        assert list(IMAGENET_SD) == transform.std

    def test_tensor_and_read_only_array(self):
        clips = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(1, 2, 2, 2, 3)
        clips.flags.writeable = False
        before = clips.copy()
        assert torch.equal(normalise(clips), normalise(torch.from_numpy(before)))
        assert np.array_equal(clips, before)

    @pytest.mark.parametrize(
        "clips",
        [np.zeros((1, 2, 4, 4, 3), np.float32), np.zeros((2, 4, 4, 3), np.uint8)],
        ids=["float", "one clip"],
    )
    def test_refuses_other_input(self, clips):
        with pytest.raises(ValueError, match=r"uint8 \(B, T, H, W, 3\)"):
            normalise(clips)


class TestDataset:
    def test_packed_and_on_the_fly_agree(self, packed, table):
        out, told = packed
        from_array = ClipDataset(told, packed=out)
        from_files = ClipDataset(table, frames=5, size=SIZE)
        assert len(from_array) == len(from_files) == 6
        assert from_array.shape == from_files.shape == (5, *SIZE, 3)
        assert from_array.is_packed
        assert not from_files.is_packed
        for i in range(6):
            one, other = from_array[i], from_files[i]
            assert np.array_equal(one[0], other[0])
            assert one[1] == other[1] == [0, 0, 1, 1, 0, 1][i]

    def test_a_part_of_the_table_finds_its_clips(self, packed):
        out, told = packed
        part = told[told["label"] == "wave"].iloc[::-1].reset_index(drop=True)
        dataset = ClipDataset(part, packed=out, classes=["clap", "wave"])
        reds = [int(dataset[i][0][0, 0, 0, 0]) for i in range(len(dataset))]
        assert reds == [20 * 5, 20 * 3, 20 * 2]
        assert dataset.labels.tolist() == [1, 1, 1]

    def test_unknown_label(self, table):
        with pytest.raises(InputError, match="label 'wave'"):
            ClipDataset(table, frames=5, size=SIZE, classes=["clap"])

    def test_array_that_does_not_fit(self, packed, table, tmp_path):
        out, told = packed
        with pytest.raises(InputError, match="6 packed clips for a table of 5"):
            ClipDataset(table.iloc[:5], packed=out)
        with pytest.raises(InputError, match="6 packed clips"):
            ClipDataset(told.assign(row=told["row"] + 1), packed=out)
        with pytest.raises(InputError, match=r"uint8 \(N, 7, 12, 16, 3\)"):
            ClipDataset(told, packed=out, frames=7, size=SIZE)
        np.save(tmp_path / "other.npy", np.zeros((6, 5)))
        with pytest.raises(InputError, match=r"an array float64 \(6, 5\)"):
            ClipDataset(told, packed=tmp_path / "other.npy")
        (tmp_path / "cut.npy").write_bytes(out.read_bytes()[:-100])
        for name in ("none.npy", "cut.npy"):
            with pytest.raises(InputError, match="no readable array"):
                ClipDataset(told, packed=tmp_path / name)

    def test_needs_frames_and_size(self, table):
        with pytest.raises(ValueError, match="frames and size"):
            ClipDataset(table)


class TestBatches:
    ORDER = (4, 0, 3, 5, 1)

    def test_order_labels_and_content(self, packed, table):
        out, told = packed
        got = list(batches(ClipDataset(told, packed=out), self.ORDER, 2))
        assert [len(y) for _, y in got] == [2, 2, 1]
        assert torch.cat([y for _, y in got]).tolist() == [0, 0, 1, 1, 0]
        assert got[0][1].dtype == torch.int64
        frames = [read_frames(table["path"][i], frames=5, size=SIZE) for i in self.ORDER]
        assert torch.equal(torch.cat([x for x, _ in got]), normalise(np.stack(frames)))

    def test_do_not_depend_on_workers(self, packed, table):
        out, told = packed
        fly = ClipDataset(table, frames=5, size=SIZE)
        ways = [
            list(batches(ClipDataset(told, packed=out), self.ORDER, 2)),
            list(batches(fly, np.array(self.ORDER), 2)),
            list(batches(fly, self.ORDER, 2, workers=2)),
        ]
        for way in ways[1:]:
            assert len(way) == len(ways[0])
            for (x, y), (x0, y0) in zip(way, ways[0], strict=True):
                assert torch.equal(x, x0)
                assert torch.equal(y, y0)

    def test_can_be_left_early(self, table):
        stream = batches(ClipDataset(table, frames=5, size=SIZE), [0, 1, 2, 3], 1, workers=1)
        assert len(next(stream)[1]) == 1
        stream.close()

    def test_nothing_asked(self, packed):
        out, told = packed
        assert list(batches(ClipDataset(told, packed=out), [], 2)) == []
        with pytest.raises(ValueError, match="batch_size"):
            next(batches(ClipDataset(told, packed=out), [0], 0))
