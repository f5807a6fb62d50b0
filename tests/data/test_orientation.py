"""Films that say how they are to be shown: expected corners come from the matrix alone."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from threetconv.data.checks.inspection import inspect_clip
from threetconv.data.decoding import images
from threetconv.data.decoding.decode import read_frames

from ..builders.media_files import corners, corners_picture, set_matrix, write_video

HEIGHT, WIDTH = 64, 80
PLACES = {"R": (-1, -1), "G": (1, -1), "B": (-1, 1), "Y": (1, 1)}  # (x, y) around the middle
EIGHT = [
    (a, b, c, d)
    for (a, b), (c, d) in itertools.permutations([(1, 0), (-1, 0), (0, 1), (0, -1)], 2)
    if a * d - b * c
]
KNOWN = {
    (1, 0, 0, 1): "RGBY",
    (-1, 0, 0, 1): "GRYB",  # mirrored
    (1, 0, 0, -1): "BYRG",
    (-1, 0, 0, -1): "YBGR",
    (0, 1, -1, 0): "BRYG",  # a phone held upright: turned clockwise
    (0, -1, 1, 0): "GYRB",
    (0, 1, 1, 0): "RBGY",  # transposed
    (0, -1, -1, 0): "YGBR",
}


def shown(a: float, b: float, c: float, d: float) -> str:
    """Where each corner comes to lie, (a x + c y, b x + d y); ISO/IEC 14496-12, 6.2.2."""
    there = {(a * x + c * y, b * x + d * y): name for name, (x, y) in PLACES.items()}
    return "".join(there[x, y] for y in (-1, 1) for x in (-1, 1))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "r0.mp4"
    return write_video(path, "mpeg4", "yuv420p", [corners_picture(HEIGHT, WIDTH)] * 4)


@pytest.fixture
def turned(film, tmp_path):
    def make(*matrix: float):
        path = tmp_path / "turned.mp4"
        path.write_bytes(film.read_bytes())
        if matrix != (1, 0, 0, 1):
            set_matrix(path, *matrix)
        return path

    return make


def test_the_algebra_is_what_players_show():
    assert {matrix: shown(*matrix) for matrix in EIGHT} == KNOWN


@pytest.mark.parametrize("matrix", EIGHT, ids=str)
def test_each_of_the_eight(turned, matrix):
    path = turned(*matrix)
    swapped = matrix[0] == 0
    own = read_frames(path, frames=2, size=None)
    assert own.shape == (2, *((WIDTH, HEIGHT) if swapped else (HEIGHT, WIDTH)), 3)
    for size in (None, (48, 32), (30, 100)):
        clip = read_frames(path, frames=2, size=size)
        assert [corners(frame) for frame in clip] == [shown(*matrix)] * 2
        assert size is None or clip.shape[1:3] == size
    for quick in (False, True):
        seen = inspect_clip(path, quick=quick)
        assert (seen.problem, seen.height, seen.width) == ("", *own.shape[1:3])


@pytest.mark.parametrize(
    ("matrix", "nearest"),
    [
        ((2, 0, 0, 2), (1, 0, 0, 1)),  # scaled
        ((-0.5, 0, 0, 2), (-1, 0, 0, 1)),
        ((0.866, 0.5, -0.5, 0.866), (1, 0, 0, 1)),  # 30 degrees
        ((0.5, 0.866, -0.866, 0.5), (0, 1, -1, 0)),  # 60
        ((-0.866, 0.5, 0.5, 0.866), (-1, 0, 0, 1)),  # mirrored, then 30
        ((0.5, 0.866, 0.866, -0.5), (0, 1, 1, 0)),
        ((0, 0, 0, 0), (1, 0, 0, 1)),
    ],
    ids=str,
)
def test_others_are_brought_to_the_nearest(turned, matrix, nearest):
    (frame,) = read_frames(turned(*matrix), frames=1, size=(40, 60))
    assert corners(frame) == shown(*nearest)


@pytest.mark.parametrize("exif", range(1, 9))
def test_motion_jpeg_of_a_camera(tmp_path, exif):
    """Its frames carry EXIF, a kind of side data that PyAV has no name for."""
    jpeg, path = tmp_path / "1.jpg", tmp_path / "a.avi"
    tags = Image.Exif()
    tags[0x0112] = exif
    Image.fromarray(corners_picture(HEIGHT, WIDTH)).save(jpeg, quality=95, exif=tags)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        for i in range(3):
            packet = av.Packet(jpeg.read_bytes())
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, i, i, True
            packet.time_base = Fraction(1, 25)
            container.mux(packet)
    with Image.open(jpeg) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    clip = read_frames(path, frames=3, size=None)
    assert clip.shape[1:] == expected.shape
    assert {corners(frame) for frame in clip} == {corners(expected)}


def test_not_every_frame_is_asked(turned, monkeypatch):
    """A frame that was asked is in a cycle with its side data and stays in memory for a while."""
    asked = []
    plain = images.orientation
    monkeypatch.setattr(images, "orientation", lambda frame: asked.append(1) or plain(frame))
    read_frames(turned(0, 1, 1, 0), frames=4, size=(8, 8))
    assert len(asked) == 1
