"""Frames of a video are marked with their number in black and white bars, and read back."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from PIL import Image

from threetconv.data.decoding import decode
from threetconv.data.decoding.decode import decode_clip, read_frames
from threetconv.data.decoding.frame_sampling import SAMPLING
from threetconv.data.decoding.images import Stack
from threetconv.data.decoding.truncation import announced_bytes
from threetconv.errors import InputError

from ..builders.marked_frames import marked, number_of
from ..builders.media_files import write_video


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


def kinds_of_frames(path: Path) -> str:
    """A letter for each frame, in the order shown."""
    with av.open(str(path)) as container:
        return "".join(PictureType(f.pict_type).name for f in container.decode(video=0))


def with_sound(path: Path) -> Path:
    """The video of `path` with a second stream of sound between its frames, AVI."""
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), "s16", "mono")
    silence.sample_rate = 48_000
    both = path.with_name("sound.avi")
    with av.open(str(path)) as source, av.open(str(both), "w") as container:
        video = container.add_stream_from_template(source.streams.video[0])
        sound = container.add_stream("pcm_s16le", rate=48_000, layout="mono")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                container.mux(packet)
                container.mux(sound.encode(silence))
    return both


def rewritten(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    """An AVI of the changed packets."""
    new = path.with_name(f"rewritten_{path.name}")
    with av.open(str(path)) as source, av.open(str(new), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = change([bytes(packet) for packet in source.demux(video=0) if packet.size])
        for i, content in enumerate(packets):
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), i, i
            packet.is_keyframe = i == 0
            container.mux(packet)
    return new


VOP = b"\0\0\1\xb6"
NOT_CODED = VOP + bytes([0b01010000, 0b01001111])
"""An MPEG-4 frame that says "nothing new" (vop_coded 0; ISO 14496-2, 6.2.5)."""


def packed_bitstream(packets: list[bytes]) -> list[bytes]:
    """What DivX and XviD write: a frame and the first B-frame after it in one packet."""
    types = ["IPB"[packet[packet.index(VOP) + 4] >> 6] for packet in packets]
    start = packets[0].index(VOP)
    divx = b"\0\0\1\xb2DivX503b1393p"
    packed = [packets[0][:start] + divx + packets[0][start:]]
    for before, kind, packet in zip(types, types[1:], packets[1:], strict=False):
        if kind == "B" != before:
            packed[-1] += packet
        else:
            packed.append(packet)
        if kind == "B" != before:
            pending = True
        elif kind != "B" and before == "B":
            packed.insert(-1, NOT_CODED)
            pending = False
    return packed + [NOT_CODED] * pending


def hidden_start(path: Path, frames: int) -> Path:
    """An MP4 whose edit list hides the first frames; its time stamps begin below zero."""
    new = path.with_name("edited.mp4")
    with (
        av.open(str(path)) as source,
        av.open(
            str(new), "w", container_options={"avoid_negative_ts": "disabled", "use_editlist": "1"}
        ) as container,
    ):
        old = source.streams.video[0]
        stream = container.add_stream_from_template(old)
        for packet in source.demux(old):
            if packet.size:
                back = int(frames / 25 / old.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - back, packet.dts - back, stream
                container.mux(packet)
    return new


def packed(path: Path) -> Path:
    return rewritten(path, packed_bitstream)


OPEN = "open-gop=1:b-adapt=0:scenecut=0:keyint=12:min-keyint=12:bframes=3:b-pyramid=normal"
AWKWARD = {
    "avi with sound": ("a.avi", "mpeg4", {"bf": "2"}, with_sound),
    "avi packed bitstream": (
        "a.avi",
        "mpeg4",
        {"bf": "2"},
        packed,
    ),
    "avi packed, one B": ("a.avi", "mpeg4", {"bf": "1"}, packed),
    "avi with a packet that is no frame": (
        "a.avi",
        "mpeg4",
        {"bf": "0"},
        lambda p: rewritten(p, lambda packets: [*packets[:5], NOT_CODED, *packets[5:]]),
    ),
    "mp4 open GOP": ("a.mp4", "libx264", {"x264-params": OPEN}, None),
    "mpegts, first time stamp late": ("a.ts", "libx264", {"bf": "3"}, None),
    "h264 without time stamps": ("a.h264", "libx264", {"bf": "3"}, None),
    "m4v without container": ("a.m4v", "mpeg4", {"bf": "2"}, None),
    "vp8 with alternate frames": ("a.webm", "libvpx", {"auto-alt-ref": "1", "cpu-used": "8"}, None),
}


@pytest.mark.parametrize("n", [9, 50])
@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_files_give_the_right_frames(tmp_path, kind, n):
    name, codec, options, change = AWKWARD[kind]
    path = marked_video(tmp_path / name, codec, "yuv420p", n, g="12", **options)
    path = change(path) if change else path
    for t in (1, 5, 30):
        for sampling, offset in (("even", 0.0), ("random-offset", 0.3), ("random-offset", 0.99)):
            clip = decode_clip(path, frames=t, size=(32, 96), sampling=sampling, offset=offset)
            assert clip.source_frames == n
            expected = SAMPLING[sampling].choose(n, t, offset).tolist()
            assert [number_of(frame) for frame in clip.frames] == expected


def test_frames_hidden_by_an_edit_list_are_not_counted(tmp_path, monkeypatch):
    whole = marked_video(tmp_path / "a.mp4", "libx264", "yuv420p", 41, bf="3", g="12")
    path = hidden_start(whole, 5)
    with av.open(str(path)) as container:
        assert min(packet.pts for packet in container.demux(video=0) if packet.size) < 0
    opened = []
    plain = decode._open
    monkeypatch.setattr(decode, "_open", lambda *a: opened.append(a[0]) or plain(*a))
    clip = decode_clip(path, frames=8, size=(32, 96))
    assert len(opened) == 1  # packets of hidden frames are not counted, so once is enough
    assert clip.source_frames == 36
    assert [number_of(f) for f in clip.frames] == [5, 10, 15, 20, 25, 30, 35, 40]


def test_the_awkward_files_are_awkward(tmp_path):
    path = marked_video(tmp_path / "a.avi", "mpeg4", "yuv420p", 20, bf="2")
    assert "IBBPBBP" in kinds_of_frames(path)
    with av.open(str(packed(path))) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert max(packet.count(VOP) for packet in packets) == 2
    assert NOT_CODED in packets
    open_gop = marked_video(tmp_path / "a.mp4", "libx264", "yuv420p", 30, **{"x264-params": OPEN})
    assert "BI" in kinds_of_frames(open_gop)  # B-frames before the I-frame need what follows it


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


def test_only_wanted_frames_are_resized(tmp_path, monkeypatch):
    path = marked_video(tmp_path / "a.avi", "mjpeg", "yuvj420p", 60)
    resized = []
    plain = Stack.put
    monkeypatch.setattr(Stack, "put", lambda *a: resized.append(a[1]) or plain(*a))
    read_frames(path, frames=3, size=(8, 8))
    assert resized == [0, 30, 59]


def test_grey_levels_survive_exactly(tmp_path):
    levels = [0, 1, 77, 128, 254, 255]
    pictures = [np.full((31, 45, 3), level, np.uint8) for level in levels]
    path = write_video(tmp_path / "a.mkv", "ffv1", "gray", pictures)
    frames = read_frames(path, frames=6, size=(31, 45))
    assert np.array_equal(frames, np.stack(pictures))


def test_video_and_images_are_resized_alike(tmp_path):
    rng = np.random.default_rng(1)
    picture = np.repeat(rng.integers(0, 256, (37, 53, 1), dtype=np.uint8), 3, axis=2)
    video = write_video(tmp_path / "a.mkv", "ffv1", "gray", [picture])
    (tmp_path / "clip").mkdir()
    Image.fromarray(picture).save(tmp_path / "clip" / "00001.png")
    one, other = (read_frames(p, frames=1, size=(20, 30)) for p in (video, tmp_path / "clip"))
    assert abs(one.astype(int) - other).max() <= 1  # grey through RGB is rounded once more


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

    @pytest.mark.parametrize(
        ("name", "codec", "pix_fmt", "found"),
        [
            ("a.avi", "mpeg4", "yuv420p", r"damaged data in frame \d+"),
            ("a.mp4", "libx264", "yuv420p", r"damaged data in frame \d+"),
            ("a.avi", "mjpeg", "yuvj420p", "cannot be decoded"),
        ],
    )
    def test_damage_is_not_patched_up(self, tmp_path, name, codec, pix_fmt, found):
        """Garbage within one packet: the decoder goes on, with a grey or smeared picture."""
        rng = np.random.default_rng(5)
        path = marked_video(tmp_path / name, codec, pix_fmt, 24, (320, 240), bf="0")
        raw = bytearray(path.read_bytes())
        with av.open(str(path)) as container:
            pos, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][13]
        middle = pos + size // 2
        raw[middle : middle + 60] = rng.integers(0, 256, 60, dtype=np.uint8).tobytes()
        path.write_bytes(raw)
        for frames in (1, 24):  # chosen or not
            with pytest.raises(InputError, match=found) as caught:
                read_frames(path, frames=frames, size=(8, 8))
            assert str(path) in str(caught.value)

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
