from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import pickle
import signal
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from threetconv.clips.bad_clips import BadClips
from threetconv.clips.dataset import (
    IMAGENET_MEAN,
    IMAGENET_SD,
    ClipDataset,
    normalise,
)
from threetconv.clips.loader import batches
from threetconv.clips.packed import pack_clips
from threetconv.data.adapters.registry import read_clips
from threetconv.data.decoding.decode import read_frames
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


class TestNormalise:
    def test_known_answer(self):
        clips = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), dtype=np.uint8)
        out = normalise(clips)
        assert out.shape == (2, 3, 3, 4, 5)
        assert out.dtype == torch.float32
        assert out.is_contiguous(memory_format=torch.channels_last_3d)
        for b, c, t, y, x in [(0, 0, 0, 0, 0), (1, 2, 2, 3, 4), (0, 1, 2, 1, 3)]:
            mean, sd = IMAGENET_MEAN[c], IMAGENET_SD[c]
            want = (int(clips[b, t, y, x, c]) / 255 - mean) / sd
            assert float(out[b, c, t, y, x]) == pytest.approx(want, abs=1e-6)

    def test_constants(self):
        """The values that torchvision's own weights were trained with."""
        from torchvision.models import ResNet18_Weights  # slow to import

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

    def test_packed_clips_have_their_frames(self, packed):
        out, told = packed
        with pytest.raises(InputError, match="sampling 'random-offset' of packed clips"):
            ClipDataset(told, packed=out, sampling="random-offset")

    def test_unknown_sampling(self, table):
        with pytest.raises(InputError, match="no sampling of that name"):
            ClipDataset(table, frames=5, size=SIZE, sampling="odd")

    def test_a_short_clip_is_told_once(self, table, caplog):
        dataset = ClipDataset(table, frames=5, size=SIZE)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                dataset[3]
        assert [r.message.split(": ")[1] for r in caplog.records] == [
            "3 frames where 5 are wanted; its last frame is repeated 2 times"
        ]


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        torch.equal(x, x0) and torch.equal(y, y0)
        for (x, y), (x0, y0) in zip(one, other, strict=True)
    )


class TestBatches:
    GROUPS = ((4, 0), (3,), (5, 1))

    def test_order_labels_and_content(self, packed, table):
        out, told = packed
        got = list(batches(ClipDataset(told, packed=out), self.GROUPS))
        assert [y.tolist() for _, y in got] == [[0, 0], [1], [1, 0]]
        assert got[0][1].dtype == torch.int64
        order = [i for group in self.GROUPS for i in group]
        frames = [read_frames(table["path"][i], frames=5, size=SIZE) for i in order]
        assert torch.equal(torch.cat([x for x, _ in got]), normalise(np.stack(frames)))

    def test_do_not_depend_on_workers(self, packed, table):
        out, told = packed
        want = list(batches(ClipDataset(told, packed=out), self.GROUPS))
        with ClipDataset(table, frames=5, size=SIZE) as fly:
            assert same(list(batches(fly, [np.array(g) for g in self.GROUPS])), want)
            assert same(list(batches(fly, self.GROUPS, workers=2)), want)

    def test_change_knows_the_clip(self, packed):
        out, told = packed
        data = ClipDataset(told, packed=out)
        seen = []

        def change(i, frames):
            seen.append((i, int(frames[0, 0, 0, 0])))
            return 255 - frames

        got = list(batches(data, self.GROUPS, change=change))
        assert seen == [(i, 20 * i) for i in (4, 0, 3, 5, 1)]
        assert torch.equal(got[1][0], normalise(255 - data[3][0][None]))

    def test_a_change_that_cannot_be_sent_to_workers(self, table):
        """Said before a process starts: an executor that cannot pickle its tasks never ends."""
        with ClipDataset(table, frames=5, size=SIZE) as data:
            with pytest.raises(ValueError, match="change must be picklable"):
                list(batches(data, self.GROUPS, workers=2, change=lambda i, frames: frames))
            assert data._processes is None

    @pytest.mark.parametrize("workers", [0, 1])
    def test_offset_moves_the_frames(self, table, workers):
        """Of 9 frames 3: the middle of each third, its beginning, or its end."""

        def greens(**how):
            with ClipDataset(table, frames=3, size=SIZE, sampling="random-offset") as data:
                ((x, _),) = batches(data, [[0, 1, 2]], workers=workers, **how)
            mean, sd = IMAGENET_MEAN[1], IMAGENET_SD[1]
            return (((x[:, 1, :, 5, 5] * sd + mean) * 255 / 10).round().int()).tolist()

        assert greens() == [[1, 4, 7]] * 3
        places = {0: 0.0, 1: 0.99, 2: 0.5}
        assert greens(offset=places.__getitem__) == [[0, 3, 6], [2, 5, 8], [1, 4, 7]]

    def test_nothing_asked(self, packed, table):
        out, told = packed
        assert list(batches(ClipDataset(told, packed=out), [])) == []
        (x, y), *more = batches(ClipDataset(table, frames=5, size=SIZE), [[], [2]])
        assert x.shape == (0, 3, 5, *SIZE)
        assert x.dtype == torch.float32
        assert y.shape == (0,)
        assert y.dtype == torch.int64
        assert len(more) == 1
        with pytest.raises(ValueError, match="workers"):
            next(batches(ClipDataset(told, packed=out), [[0]], workers=-1))


def children() -> set[int]:
    return {process.pid for process in multiprocessing.active_children()}


class TestProcesses:
    def test_live_on_until_closed(self, table):
        with ClipDataset(table, frames=5, size=SIZE) as data:
            assert children() == set()
            first = list(batches(data, [[0, 1]], workers=1))
            alive = children()
            assert len(alive) == 1
            assert same(list(batches(data, [[0, 1]], workers=1)), first)
            assert children() == alive
            with pytest.raises(ValueError, match="1 workers, not 2"):
                next(batches(data, [[0]], workers=2))
            copy = pickle.loads(pickle.dumps(data))
            assert np.array_equal(copy[2][0], data[2][0])
            stream = batches(data, [[i] for i in range(6)], workers=1)  # can be left early
            assert len(next(stream)[1]) == 1
            stream.close()
            assert same(list(batches(data, [[0, 1]], workers=1)), first)
        assert children() == set()
        data.close()

    def test_end_with_the_dataset(self, table):
        data = ClipDataset(table, frames=5, size=SIZE)
        list(batches(data, [[0]], workers=1))
        assert len(children()) == 1
        del data
        gc.collect()
        for _ in range(100):
            if not children():
                return
            time.sleep(0.05)
        raise AssertionError("a worker lives on without its dataset")

    def test_killed_worker_is_told(self, table):
        order = [[i % 6] for i in range(60)]
        with ClipDataset(table, frames=5, size=SIZE) as data:
            want = list(batches(data, order[:3]))
            stream = batches(data, order, workers=1)
            next(stream)
            (worker,) = children()
            os.kill(worker, signal.SIGKILL)
            with pytest.raises(RuntimeError, match="a worker process died while it read") as told:
                list(stream)
            assert any(path in str(told.value) for path in data.paths)
            assert "short of memory" in str(told.value)
            assert children() == set()
            assert same(list(batches(data, order[:3], workers=1)), want)  # a new one was started

    def test_worker_killed_between_calls(self, table):
        """Names as many clips as there are workers: the first of those that were asked for."""
        with ClipDataset(table, frames=5, size=SIZE) as data:
            list(batches(data, [[0]], workers=1))
            os.kill(*children(), signal.SIGKILL)
            with pytest.raises(RuntimeError, match="a worker process died") as told:
                list(batches(data, [[4], [1], [2]], workers=1))
        assert [path for path in data.paths if path in str(told.value)] == [data.paths[4]]


class TestBadClips:
    GROUPS = ((0, 1), (2, 0, 5), (4,), (3, 2))  # of these 2 and 4 are broken

    @pytest.fixture
    def broken(self, table, tmp_path) -> pd.DataFrame:
        (tmp_path / "broken.mkv").write_bytes(b"not a video")
        (tmp_path / "empty").mkdir()
        paths = list(table["path"])
        paths[2], paths[4] = str(tmp_path / "broken.mkv"), str(tmp_path / "empty")
        return table.assign(path=paths)

    @pytest.mark.parametrize("workers", [0, 2])
    def test_fail_stops_there_and_names_the_file(self, broken, workers):
        with ClipDataset(broken, frames=5, size=SIZE) as data:
            stream = batches(data, self.GROUPS, workers=workers)
            assert len(next(stream)[1]) == 2
            with pytest.raises(InputError, match=r"broken\.mkv") as caught:
                next(stream)
        assert caught.value.where == broken["path"][2]
        assert data.bad.found == {}

    def test_skip_shrinks_groups_whatever_the_workers(self, broken, table, caplog):
        whole = list(batches(ClipDataset(table, frames=5, size=SIZE), ((0, 1), (0, 5), (), (3,))))
        lists = []
        for workers in (0, 2):
            bad = BadClips("skip", total=6, ceiling=0.5)
            with ClipDataset(broken, frames=5, size=SIZE, bad=bad) as data:
                caplog.clear()
                with caplog.at_level(logging.WARNING):
                    got = list(batches(data, self.GROUPS, workers=workers))
                    again = list(batches(data, self.GROUPS, workers=workers))
            assert same(got, whole)
            assert same(again, whole)
            skipped = [r.message for r in caplog.records if "skipped" in r.message]
            assert len(skipped) == 2  # once for each clip, not each time
            lists.append(list(bad.found.items()))
        assert lists[0] == lists[1]
        assert [path for path, _ in lists[0]] == [broken["path"][2], broken["path"][4]]

    @pytest.mark.parametrize("workers", [0, 2])
    def test_ceiling(self, broken, workers):
        bad = BadClips("skip", total=6, ceiling=0.2)  # one of six
        with ClipDataset(broken, frames=5, size=SIZE, bad=bad) as data:
            stream = batches(data, self.GROUPS, workers=workers)
            next(stream)
            next(stream)
            with pytest.raises(InputError, match="2 of 6 clips cannot be read") as caught:
                next(stream)
        for i in (2, 4):
            assert broken["path"][i] in str(caught.value)

    @pytest.mark.parametrize("workers", [0, 1])
    def test_known_bad_clips_are_not_tried_again(self, table, workers):
        """A clip that was skipped before an interruption is skipped after it, repaired or not."""
        bad = BadClips("skip", total=6, ceiling=0.2, found={table["path"][0]: "was cut"})
        with ClipDataset(table, frames=5, size=SIZE, bad=bad) as data:
            got = list(batches(data, [(0, 1), (0,)], workers=workers))
        assert [len(y) for _, y in got] == [1, 0]

    def test_packed_clips_that_were_skipped(self, broken, tmp_path):
        bad = BadClips("skip", total=6, ceiling=0.5)
        told = pack_clips(broken, frames=5, size=SIZE, out=tmp_path / "c.npy", bad=bad)
        data = ClipDataset(told, packed=tmp_path / "c.npy")
        reds = [int(data[i][0][0, 0, 0, 0]) for i in range(len(data))]
        assert reds == [0, 20, 60, 100]
