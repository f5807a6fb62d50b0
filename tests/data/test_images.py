"""Folders of images: order, kinds of files, resizing, damage."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from threetconv.data.decoding.decode import decode_clip, read_frames
from threetconv.data.decoding.images import ImageReader, list_images
from threetconv.errors import InputError

from ..builders.marked_frames import marked, number_of


def test_shrinking_averages(tmp_path):
    """A checkerboard of single pixels becomes plain grey; picking pixels would leave 0 or 255."""
    checks = (np.indices((64, 96)).sum(0) % 2 * 255).astype(np.uint8)
    (tmp_path / "clip").mkdir()
    Image.fromarray(checks).save(tmp_path / "clip" / "1.png")
    frames = read_frames(tmp_path / "clip", frames=1, size=(16, 24)).astype(int)
    assert abs(frames[0, 1:-1, 1:-1] - 127.5).max() <= 1
    assert abs(frames - 127.5).max() <= 5  # at the edge the outermost pixel counts more than once
    ramp = np.tile(np.arange(0, 192, 2, dtype=np.uint8), (64, 1))  # mean of 4: 8 j + 3
    Image.fromarray(ramp).save(tmp_path / "clip" / "1.png")
    frames = read_frames(tmp_path / "clip", frames=1, size=(16, 24))
    inner = frames[0, 8, 2:-2, 0].astype(int)
    assert abs(inner - (8 * np.arange(2, 22) + 3)).max() <= 1


class TestImages:
    def test_numbers_in_names_count_as_numbers(self, tmp_path):
        for i in range(12):
            Image.fromarray(marked(i, 96, 64)).save(tmp_path / f"frame{i}.png")
        (tmp_path / ".frame99.png").write_bytes(b"not a frame")
        (tmp_path / "notes.txt").write_text("not a frame")
        clip = decode_clip(tmp_path, frames=12, size=(64, 96))
        assert [number_of(f) for f in clip.frames] == list(range(12))
        assert clip.source_frames == 12

    def test_jester_frames(self, tmp_path):
        for i in range(37):
            Image.fromarray(marked(i, 97, 51)).save(tmp_path / f"{i + 1:05d}.jpg", quality=90)
        frames = read_frames(tmp_path, frames=10, size=(50, 96))
        assert [number_of(f) for f in frames] == list(range(0, 37, 4))

    def test_short(self, tmp_path, caplog):
        Image.fromarray(marked(9, 96, 64)).save(tmp_path / "1.png")
        frames = read_frames(tmp_path, frames=3, size=(64, 96))
        assert [number_of(f) for f in frames] == [9, 9, 9]
        assert "1 frames where 3" in caplog.text

    @pytest.mark.parametrize(
        ("image", "expected"),
        [
            (Image.new("L", (5, 3), 90), (90, 90, 90)),
            (Image.new("RGBA", (5, 3), (200, 100, 50, 255)), (200, 100, 50)),
            (Image.new("RGBA", (5, 3), (200, 100, 50, 0)), (0, 0, 0)),
            (Image.new("LA", (5, 3), (90, 255)), (90, 90, 90)),
            (Image.new("1", (5, 3), 1), (255, 255, 255)),
            (Image.new("RGB", (5, 3), (9, 8, 7)).quantize(4), (9, 8, 7)),
            (Image.fromarray(np.full((3, 5), 257 * 90, np.uint16)), (90, 90, 90)),
        ],
        ids=["grey", "RGBA", "transparent", "grey+alpha", "bilevel", "palette", "16 bits"],
    )
    def test_kinds_of_png(self, tmp_path, image, expected):
        image.save(tmp_path / "1.png")
        frames = read_frames(tmp_path, frames=1, size=(3, 5))
        assert (frames == np.array(expected)).all()

    def test_exif_orientation(self, tmp_path):
        wide = np.zeros((64, 96, 3), np.uint8)
        wide[:, :48] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise
        Image.fromarray(wide).save(tmp_path / "1.jpg", exif=exif)
        frame = read_frames(tmp_path, frames=1, size=(96, 64))[0]
        assert frame[:40].min() > 200
        assert frame[56:].max() < 55

    def test_exif_mirror(self, tmp_path):
        corner = np.zeros((64, 96, 3), np.uint8)
        corner[:32, :48] = 255  # upper left
        exif = Image.Exif()
        exif[0x0112] = 2  # left and right swapped
        Image.fromarray(corner).save(tmp_path / "1.jpg", exif=exif)
        frame = read_frames(tmp_path, frames=1, size=(64, 96))[0]
        assert frame[:24, 56:].min() > 200
        assert max(frame[:, :40].max(), frame[40:].max()) < 55

    @pytest.mark.parametrize("suffix", [".jpg", ".png"])
    def test_broken_image(self, tmp_path, suffix):
        noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        file = tmp_path / f"00001{suffix}"
        Image.fromarray(noise).save(file)
        whole = file.read_bytes()
        for broken in (whole[: len(whole) // 2], b"", b"nonsense"):
            file.write_bytes(broken)
            with pytest.raises(InputError, match=f"00001{suffix}\n.*cannot be read"):
                read_frames(tmp_path, frames=1, size=(8, 8))

    def test_folder_without_images(self, tmp_path):
        (tmp_path / "readme.txt").write_text("hello")
        with pytest.raises(InputError, match="without images") as caught:
            read_frames(tmp_path, frames=1, size=(8, 8))
        assert str(tmp_path) in str(caught.value)


def scene(height: int = 100, width: int = 176) -> np.ndarray:
    """A smooth coloured picture with an edge."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    picture = np.stack([200 * x + 20, 220 * y + 10, 120 + 100 * np.sin(7 * (x + y))], -1)
    picture[:, width // 2 :] *= 0.6
    return picture.round().astype(np.uint8)


class TestJpeg:
    @pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}], ids=str)
    @pytest.mark.parametrize("size", [(150, 224), (50, 88), None])
    def test_as_pillow_reads_and_resizes_it(self, tmp_path, options, size):
        Image.fromarray(scene()).save(tmp_path / "1.jpg", quality=95, **options)
        (ours,) = read_frames(tmp_path, frames=1, size=size).astype(int)
        image = Image.open(tmp_path / "1.jpg")
        if size:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        difference = abs(ours - np.asarray(image))
        assert difference.mean() < 1
        assert np.quantile(difference, 0.99) <= 6

    def test_kinds_that_ffmpeg_does_not_take(self, tmp_path):
        for name, image in {
            "1.jpg": Image.new("CMYK", (40, 30), (255, 0, 0, 0)),
            "2.jpg": Image.new("RGB", (40, 30), (0, 255, 255)),
        }.items():
            image.save(tmp_path / name, quality=95)
        first, second = read_frames(tmp_path, frames=2, size=(30, 40)).astype(int)
        assert abs(first - second).max() <= 3

    def test_damage_inside_is_reported(self, tmp_path):
        """libjpeg, and so Pillow, fills the rest of the picture with grey and says nothing."""
        file = tmp_path / "1.jpg"
        Image.fromarray(scene()).save(file)
        raw = bytearray(file.read_bytes())
        middle = len(raw) // 2
        raw[middle : middle + 40] = bytes(range(40))
        file.write_bytes(raw)
        Image.open(io.BytesIO(raw)).load()
        with pytest.raises(InputError, match=r"1\.jpg\n.*cannot be read"):
            read_frames(tmp_path, frames=1, size=(8, 8))

    def test_tables_of_another_file_are_not_used(self, tmp_path):
        """After a good file, one without quantisation tables is still refused."""
        Image.fromarray(scene()).save(tmp_path / "1.jpg")
        raw = (tmp_path / "1.jpg").read_bytes()
        start = raw.index(b"\xff\xdb")
        length = 2 + int.from_bytes(raw[start + 2 : start + 4])
        bare = raw[:start] + raw[start + length :]
        while (start := bare.find(b"\xff\xdb")) >= 0:
            bare = bare[:start] + bare[start + 2 + int.from_bytes(bare[start + 2 : start + 4]) :]
        (tmp_path / "2.jpg").write_bytes(bare)
        reader = ImageReader()
        reader.read(str(tmp_path / "1.jpg"))
        with pytest.raises(InputError, match=r"2\.jpg"):
            reader.read(str(tmp_path / "2.jpg"))


def test_names_in_order(tmp_path):
    names = ["010.jpg", "9.png", "a2b10.JPG", "a2b9.jpeg", "a10.jpg", ".1.jpg", "x.txt"]
    for name in names:
        (tmp_path / name).touch()
    listed = [Path(file).name for file in list_images(tmp_path)]
    assert listed == ["a2b9.jpeg", "a2b10.JPG", "a10.jpg", "9.png", "010.jpg"]


def test_images_of_several_sizes(tmp_path):
    for i, size in enumerate([(40, 30), (40, 30), (41, 30)]):
        Image.new("RGB", size).save(tmp_path / f"{i}.png")
    assert read_frames(tmp_path, frames=3, size=(8, 8)).shape == (3, 8, 8, 3)
    with pytest.raises(InputError, match="frames of several sizes") as caught:
        read_frames(tmp_path, frames=3, size=None)
    assert "frame 2: 30 x 41 after 30 x 40" in str(caught.value)
