"""Frames of a video are marked with their number in black and white bars, and read back."""

from __future__ import annotations

import logging
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from threetconv import decode
from threetconv.decode import decode_clip, frame_indices, read_frames
from threetconv.errors import InputError
from threetconv.truncation import announced_bytes

BARS = 6  # frames 0..63


def marked(number: int, width: int, height: int) -> np.ndarray:
    """(height, width, 3) picture whose upright bars are the binary digits of `number`."""
    picture = np.zeros((height, width, 3), np.uint8)
    bar = width // BARS
    for k in range(BARS):
        picture[:, k * bar : (k + 1) * bar] = 255 * (number >> k & 1)
    return picture


def number_of(picture: np.ndarray) -> int:
    bar = picture.shape[1] // BARS
    middle = picture[picture.shape[0] // 2, :, 1]
    return sum(int(middle[k * bar + bar // 2] > 127) << k for k in range(BARS))


def write_video(path: Path, codec: str, pix_fmt: str, pictures: list[np.ndarray], **options: str):
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.bit_rate = 4_000_000
        stream.thread_count = 1
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def marked_video(path: Path, codec: str, pix_fmt: str, n: int, size=(96, 64), **options: str):
    return write_video(path, codec, pix_fmt, [marked(i, *size) for i in range(n)], **options)


KINDS = {
    "avi mpeg4 with B-frames": ("a.avi", "mpeg4", "yuv420p", (96, 64), {"bf": "2"}),
    "avi mpeg4 odd": ("a.avi", "mpeg4", "yuv420p", (97, 63), {"bf": "2"}),
    "avi mjpeg": ("a.avi", "mjpeg", "yuvj420p", (96, 64), {}),
    "avi mjpeg odd": ("a.avi", "mjpeg", "yuvj444p", (101, 55), {}),
    "mp4 h264": ("a.mp4", "libx264", "yuv420p", (96, 64), {"bf": "3"}),
    "webm vp9": ("a.webm", "libvpx-vp9", "yuv420p", (96, 64), {"cpu-used": "8"}),
    "mkv grey": ("a.mkv", "ffv1", "gray", (96, 64), {}),
    "mkv grey odd": ("a.mkv", "ffv1", "gray", (97, 63), {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_frame_is_the_one_asked_for(tmp_path, kind):
    name, codec, pix_fmt, size, options = KINDS[kind]
    path = marked_video(tmp_path / name, codec, pix_fmt, 41, size, **options)

    clip = decode_clip(path, frames=41, size=(32, 96))
    assert clip.source_frames == 41
    assert clip.frames.shape == (41, 32, 96, 3)
    assert clip.frames.dtype == np.uint8
    assert [number_of(f) for f in clip.frames] == list(range(41))

    some = read_frames(path, frames=5, size=(32, 96))
    assert [number_of(f) for f in some] == [0, 10, 20, 30, 40]
    assert np.array_equal(some, clip.frames[::10])


def test_the_b_frame_file_has_b_frames(tmp_path):
    path = marked_video(tmp_path / "a.avi", "mpeg4", "yuv420p", 20, bf="2")
    with av.open(str(path)) as container:
        kinds = {PictureType(frame.pict_type) for frame in container.decode(video=0)}
    assert PictureType.B in kinds


@given(st.integers(1, 5000), st.integers(1, 300))
def test_indices_are_even_and_ordered(n, t):
    indices = frame_indices(n, t)
    assert indices.shape == (t,)
    assert indices[0] == 0
    assert indices.max() < n
    steps = np.diff(indices)
    if n < t:
        assert indices.tolist() == [*range(n), *[n - 1] * (t - n)]
    elif t > 1:
        assert indices[-1] == n - 1
        assert set(steps.tolist()) <= {(n - 1) // (t - 1), -(-(n - 1) // (t - 1))}
        for k, i in enumerate(indices.tolist()):  # never more than half a frame off
            assert abs(Fraction(k * (n - 1), t - 1) - i) <= Fraction(1, 2)


def test_indices_known_answers():
    assert frame_indices(164, 4).tolist() == [0, 54, 109, 163]
    assert frame_indices(30, 30).tolist() == list(range(30))
    assert frame_indices(9, 1).tolist() == [0]
    assert frame_indices(4, 3).tolist() == [0, 2, 3]  # 1.5: half to even
    with pytest.raises(ValueError, match="at least 1"):
        frame_indices(0, 3)


def test_short_clip_repeats_its_last_frame_and_says_so(tmp_path, caplog):
    path = marked_video(tmp_path / "short.mp4", "libx264", "yuv420p", 5)
    with caplog.at_level(logging.WARNING):
        frames = read_frames(path, frames=8, size=(64, 96))
    assert [number_of(f) for f in frames] == [0, 1, 2, 3, 4, 4, 4, 4]
    assert "short.mp4: 5 frames where 8 are wanted" in caplog.text
    assert "repeated 3 times" in caplog.text
    caplog.clear()
    read_frames(path, frames=5, size=(64, 96))
    assert not caplog.text


@pytest.mark.parametrize("stated", [7, 400])
def test_frame_count_of_a_lying_avi_header_is_not_believed(tmp_path, stated):
    path = marked_video(tmp_path / "a.avi", "mpeg4", "yuv420p", 31, bf="2")
    raw = bytearray(path.read_bytes())
    for chunk, field in ((b"avih", 16), (b"strh", 32)):  # dwTotalFrames, dwLength
        place = raw.index(chunk) + 8 + field
        assert struct.unpack_from("<I", raw, place) == (31,)
        struct.pack_into("<I", raw, place, stated)
    path.write_bytes(raw)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == stated
    clip = decode_clip(path, frames=4, size=(64, 96))
    assert clip.source_frames == 31
    assert [number_of(f) for f in clip.frames] == [0, 10, 20, 30]


def test_only_wanted_frames_are_kept(tmp_path, monkeypatch):
    path = marked_video(tmp_path / "a.avi", "mjpeg", "yuvj420p", 60)
    resized = []
    plain = decode._resize
    monkeypatch.setattr(decode, "_resize", lambda *a: resized.append(1) or plain(*a))
    read_frames(path, frames=3, size=(8, 8))
    assert len(resized) == 3


def test_grey_levels_survive_exactly(tmp_path):
    levels = [0, 1, 77, 128, 254, 255]
    pictures = [np.full((31, 45, 3), level, np.uint8) for level in levels]
    path = write_video(tmp_path / "a.mkv", "ffv1", "gray", pictures)
    frames = read_frames(path, frames=6, size=(31, 45))
    assert np.array_equal(frames, np.stack(pictures))


def test_shrinking_averages(tmp_path):
    """A checkerboard of single pixels becomes plain grey; picking pixels would leave 0 or 255."""
    checks = (np.indices((64, 96)).sum(0) % 2 * 255).astype(np.uint8)
    (tmp_path / "clip").mkdir()
    Image.fromarray(checks).save(tmp_path / "clip" / "1.png")
    frames = read_frames(tmp_path / "clip", frames=1, size=(16, 24))
    assert abs(frames.astype(int) - 127.5).max() <= 1
    ramp = np.tile(np.arange(0, 192, 2, dtype=np.uint8), (64, 1))  # mean of 4: 8 j + 3
    Image.fromarray(ramp).save(tmp_path / "clip" / "1.png")
    frames = read_frames(tmp_path / "clip", frames=1, size=(16, 24))
    inner = frames[0, 8, 2:-2, 0].astype(int)
    assert abs(inner - (8 * np.arange(2, 22) + 3)).max() <= 1


def test_video_and_images_are_resized_alike(tmp_path):
    rng = np.random.default_rng(1)
    picture = np.repeat(rng.integers(0, 256, (37, 53, 1), dtype=np.uint8), 3, axis=2)
    video = write_video(tmp_path / "a.mkv", "ffv1", "gray", [picture])
    (tmp_path / "clip").mkdir()
    Image.fromarray(picture).save(tmp_path / "clip" / "00001.png")
    one, other = (read_frames(p, frames=1, size=(20, 30)) for p in (video, tmp_path / "clip"))
    assert np.array_equal(one, other)


def test_a_video_filmed_upright_is_turned(tmp_path):
    """The display matrix of a phone held upright: turn by 90 degrees clockwise (ISO 14496-12)."""
    wide = np.zeros((64, 96, 3), np.uint8)
    wide[:, :48] = 255  # left half white
    path = write_video(tmp_path / "a.mp4", "libx264", "yuv420p", [wide] * 3)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"tkhd") + 4 + 40
    one = 1 << 16
    assert struct.unpack_from(">9i", raw, place) == (one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", raw, place, 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(raw)
    frame = read_frames(path, frames=1, size=(96, 64))[0]
    assert frame[:40].min() > 200  # the left half is on top now
    assert frame[56:].max() < 55


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


class TestBrokenVideos:
    @pytest.mark.parametrize("kind", ["avi mpeg4 with B-frames", "mp4 h264", "webm vp9"])
    @pytest.mark.parametrize("share", [0.97, 0.4])
    def test_truncated(self, tmp_path, kind, share):
        name, codec, pix_fmt, size, options = KINDS[kind]
        path = marked_video(tmp_path / name, codec, pix_fmt, 30, size, **options)
        whole = path.read_bytes()
        assert announced_bytes(path) == len(whole)
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="truncated") as caught:
            read_frames(path, frames=4, size=(8, 8))
        assert str(path) in str(caught.value)
        least = int(re.search(r"at least ([0-9,]+) bytes", str(caught.value))[1].replace(",", ""))
        assert share * len(whole) < least <= len(whole)

    @pytest.mark.parametrize(
        ("content", "size"),
        [
            ("1a45dfa3 84 00000000 18538067 85 0000000000", 19),  # EBML: Segment of 5 bytes
            ("1a45dfa3 84 00000000 18538067 4005 0000", 20),  # the same, not all there
            ("1a45dfa3 84 00000000 18538067 01ffffffffffffff 00", None),  # live: unknown size
            ("00000008 66747970 00000010 6d646174 00", 24),  # MP4: mdat of 16 bytes
            ("00000008 66747970 00000001 6d646174 0000000100000000", (1 << 32) + 8),
            ("00000008 66747970 00000000 6d646174 0000", 8),  # mdat to the end of the file
            ("52494646 64000000 41564920", 108),  # RIFF of 100 bytes
            ("52494646 00000000 41564920", None),  # a recording that was never finished
            ("ffd8ffe0", None),
            ("", None),
        ],
    )
    def test_announced_bytes(self, tmp_path, content, size):
        path = tmp_path / "video"
        path.write_bytes(bytes.fromhex(content))
        assert announced_bytes(path) == size

    def test_damaged_inside(self, tmp_path):
        path = marked_video(tmp_path / "a.mp4", "libx264", "yuv420p", 30)
        raw = bytearray(path.read_bytes())
        start = raw.index(b"mdat") + 4
        raw[start + 20 : start + 900] = b"\xff" * 880
        path.write_bytes(raw)
        with pytest.raises(InputError, match=r"a\.mp4\n.*cannot be decoded"):
            read_frames(path, frames=4, size=(8, 8))

    @pytest.mark.parametrize("content", [b"this is not a video", b"RIFF", b"\x1a\x45\xdf\xa3"])
    def test_not_a_video(self, tmp_path, content):
        path = tmp_path / "a.avi"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.avi\n.*cannot be decoded"):
            read_frames(path, frames=4, size=(8, 8))

    def test_empty_file(self, tmp_path):
        (tmp_path / "a.mp4").touch()
        with pytest.raises(InputError, match=r"a\.mp4\n.*an empty file"):
            read_frames(tmp_path / "a.mp4", frames=4, size=(8, 8))

    def test_missing_file(self, tmp_path):
        with pytest.raises(InputError, match=r"gone\.mp4\n.*nothing at this path"):
            read_frames(tmp_path / "gone.mp4", frames=4, size=(8, 8))

    def test_stream_without_frames(self, tmp_path):
        path = tmp_path / "a.avi"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
            container.start_encoding()
        with pytest.raises(InputError, match="without a single frame"):
            read_frames(path, frames=4, size=(8, 8))

    def test_sound_only(self, tmp_path):
        path = tmp_path / "a.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            sound.sample_rate = 8000
            container.mux(stream.encode(sound))
        with pytest.raises(InputError, match="without a video stream"):
            read_frames(path, frames=4, size=(8, 8))


def test_bad_arguments(tmp_path):
    with pytest.raises(InputError, match=r"sampling 'evn'(.|\n)*did you mean 'even'"):
        read_frames(tmp_path, frames=4, size=(8, 8), sampling="evn")
    for frames, size in ((0, (8, 8)), (4, (0, 8)), (4, (8, -1))):
        with pytest.raises(ValueError, match="positive"):
            read_frames(tmp_path, frames=frames, size=size)
