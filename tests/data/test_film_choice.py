"""Which stream of a file is the film: never a picture attached to it."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.stream import Disposition

from threetconv.data.checks.inspection import inspect_clip
from threetconv.data.decoding.decode import decode_clip
from threetconv.errors import InputError

from ..builders.marked_frames import marked, number_of
from ..builders.media_files import add_cover, write_video

YELLOW = np.full((64, 64, 3), (255, 255, 0), np.uint8)


def test_a_cover_before_the_film(tmp_path):
    pictures = [marked(i, 96, 64) for i in range(16)]
    path = write_video(tmp_path / "a.mp4", "mpeg4", "yuv420p", pictures)
    add_cover(path, YELLOW)
    with av.open(str(path)) as container:
        first, second = container.streams.video
        assert first.disposition & Disposition.attached_pic
        assert second.frames == 16
    clip = decode_clip(path, frames=16, size=None)
    assert clip.source_frames == 16
    assert [number_of(frame) for frame in clip.frames] == list(range(16))
    for quick in (False, True):
        seen = inspect_clip(path, quick=quick)
        assert (seen.problem, seen.frames, seen.height, seen.width) == ("", 16, 64, 96)


def test_sound_with_a_cover_is_no_film(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    add_cover(path, YELLOW)
    with pytest.raises(InputError, match=r"a\.mp4\n.*a file without a video stream"):
        decode_clip(path, frames=1, size=(8, 8))
    for quick in (False, True):
        assert inspect_clip(path, quick=quick).problem == "a file without a video stream"


@pytest.mark.parametrize(
    ("sizes", "default", "chosen"),
    [
        (((96, 64), (192, 128)), None, 1),  # the largest
        (((192, 128), (96, 64)), None, 0),
        (((96, 64), (96, 64)), None, 0),  # the first of equals
        (((96, 64), (192, 128)), 0, 0),  # unless another one is marked
    ],
)
def test_of_several_films(tmp_path, sizes, default, chosen):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for i, (width, height) in enumerate(sizes):
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "gray"
            stream.disposition = Disposition.default if i == default else Disposition.original
            streams.append(stream)
        for number, stream in enumerate(streams, start=7):
            picture = marked(number, stream.width, stream.height)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    (frame,) = decode_clip(path, frames=1, size=None).frames
    assert number_of(frame) == 7 + chosen
    assert frame.shape[1::-1] == sizes[chosen]
