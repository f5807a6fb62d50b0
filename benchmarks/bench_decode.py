"""How fast clips are read from disk: per core, against torchcodec, OpenCV, decord and others.

    pip install -r benchmarks/requirements.txt
    python benchmarks/bench_decode.py [--quick] [--step-time S] [--json benchmarks/decode.json]

The job is `read_frames` as a whole: open, decode, choose 30 frames evenly, resize them, RGB; one
thread. Files are made here, with the frame's number in black and white bars at the bottom; a
decoder that returns another frame than asked for is "wrong" and counts for nothing. Time is the
processor's (all threads of the process, so that hidden ones are counted), medians of one
interleaved run: a busy machine blurs the ratios but does not shift them.

At the end: whether 8 worker processes feed a training step. Pass the step's time on your GPU with
`--step-time` (3T-ResNet18, batch 32, 30 x 150 x 224); without it the time is measured here on the
CPU with one clip and multiplied by 32. A GPU that is not here has a bound all the same: the step's
multiplications and additions, counted, at the rate that its maker promises (`--gpu-tflops`; an A100
with TF32 unless you say otherwise), which no network reaches.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import _rivals
import av
import numpy as np
import torch
import torch.nn.functional as F
from _timing import Row, print_table, write_json
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from threetconv.data.decoding.decode import read_frames
from threetconv.data.decoding.frame_sampling import frame_indices
from threetconv.networks.build import build_network

FRAMES, WORKERS, BATCH = 30, 8, 32
BITS = 8
SHORTEST = 0.05
MUST, AIM = 0.9, 1.0
A100_TFLOPS = 156.0  # TF32, dense; NVIDIA's data sheet of the A100
JESTER, UCF101 = (150, 224), (168, 224)
Size = tuple[int, int]


def scene(i: int, height: int, width: int, backdrop: np.ndarray) -> np.ndarray:
    """Frame `i`: a textured backdrop that pans, a patch that moves, the number in bars below."""
    x, y = int(64 + 60 * np.sin(i / 20)), int(32 + 30 * np.cos(i / 27))
    picture = backdrop[y : y + height, x : x + width].copy()
    side = height // 6
    x, y = int(width * (0.5 + 0.25 * np.sin(i / 9))), int(height * (0.4 + 0.2 * np.cos(i / 7)))
    picture[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = (220, 180, 140)
    bar = width // BITS
    for k in range(BITS):
        picture[-side:, k * bar : (k + 1) * bar] = 255 * (i >> k & 1)
    return picture


def scenes(n: int, height: int, width: int) -> list[np.ndarray]:
    """`n` frames, uint8 (height, width, 3), with about the detail of filmed ones."""
    rng = np.random.default_rng(0)
    size = (width + 128, height + 64)

    def noise(cell: int) -> np.ndarray:
        coarse = rng.integers(0, 256, (height // cell + 8, width // cell + 8, 3), dtype=np.uint8)
        return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.int16)

    backdrop = np.clip(0.75 * noise(8) + (noise(2) - 128) / 6 + 20, 0, 255).astype(np.uint8)
    return [scene(i, height, width, backdrop) for i in range(n)]


def numbers(frames: Any) -> list[int]:
    """Read the numbers of frames (T, H, W, 3) or (T, 3, H, W) back from their bars."""
    array = np.asarray(frames)
    if array.shape[1] == 3:
        array = array.transpose(0, 2, 3, 1)
    bar = array.shape[2] / BITS
    row = array[:, -array.shape[1] // 12, :, 1]
    return [sum(int(line[int((k + 0.5) * bar)] > 127) << k for k in range(BITS)) for line in row]


def video(path: Path, codec: str, size: Size, bits: int, **options: str) -> Path:
    """180 frames, 25 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = bits
        for picture in scenes(180, *size):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def jpegs(path: Path) -> Path:
    """35 files 100 pixels high, about 5 kB each."""
    path.mkdir()
    for i, picture in enumerate(scenes(35, 100, 176)):
        Image.fromarray(picture).save(path / f"{i + 1:05d}.jpg", quality=85)
    return path


Sample = tuple[str, Callable[[Path], Path], int, Size]
SAMPLES: dict[str, Sample] = {
    "UCF101-like: AVI, mpeg4 with B-frames, 320x240": (
        "a.avi",
        lambda path: video(path, "mpeg4", (240, 320), 600_000, bf="2", g="250"),
        180,
        UCF101,
    ),
    "Jester-like: JPEG files, 176x100": ("jester", jpegs, 35, JESTER),
    "MP4, h264, 320x240": (
        "a.mp4",
        lambda path: video(path, "libx264", (240, 320), 600_000),
        180,
        UCF101,
    ),
    "MP4, h264, 1280x720": (
        "b.mp4",
        lambda path: video(path, "libx264", (720, 1280), 3_000_000, preset="fast"),
        180,
        UCF101,
    ),
}


def _wrong(read: Callable[[], Any], n: int) -> str:
    """Why what is read does not count, or nothing."""
    try:
        got = numbers(read())
    except Exception as error:  # whatever another library raises is its result
        return f"failed: {type(error).__name__}: {str(error).splitlines()[0]}"
    asked = frame_indices(n, FRAMES).tolist()
    off = [f"{a} gave {b}" for a, b in zip(asked, got, strict=True) if a != b]
    return f"wrong: {len(off)} of {FRAMES} frames, such as {off[0]}" if off else ""


def per_core(readers: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median milliseconds of processor time per clip; each is called once unmeasured, then in turn.

    A turn lasts `SHORTEST` seconds at least.
    """
    times: dict[str, list[float]] = {reader: [] for reader in readers}
    for i in range(rounds + 1):
        for reader, read in readers.items():
            begin = time.process_time()
            calls = 0
            while calls == 0 or time.process_time() - begin < SHORTEST:
                read()
                calls += 1
            if i:
                times[reader].append(1e3 * (time.process_time() - begin) / calls)
    return {reader: statistics.median(values) for reader, values in times.items()}


def compare(
    name: str, folder: Path, rounds: int, missing: dict[str, str]
) -> tuple[Row, dict[str, tuple[float, str]]]:
    """Ours against the fastest correct rival; and clips per second and verdict of everyone."""
    file, make, n, size = SAMPLES[name]
    path = str(make(folder / file))
    readers: dict[str, Callable[[], Any]] = {
        "ours": lambda: read_frames(path, frames=FRAMES, size=size)
    }
    rivals = _rivals.images if Path(path).is_dir() else _rivals.videos
    for rival, read in rivals(missing).items():
        readers[rival] = partial(read, path, FRAMES, size)
    verdicts = {reader: _wrong(read, n) for reader, read in readers.items()}
    if verdicts["ours"]:
        raise SystemExit(f"{name}: ours is {verdicts['ours']}")
    runs = {reader: r for reader, r in readers.items() if not verdicts[reader].startswith("failed")}
    medians = per_core(runs, rounds)
    correct = {r: ms for r, ms in medians.items() if r != "ours" and not verdicts[r]}
    if not correct:
        raise SystemExit(f"{name}: nothing to compare with; see benchmarks/requirements.txt")
    best = min(correct, key=lambda reader: correct[reader])
    row = Row(
        name,
        "of the fastest correct one's speed",
        medians[best] / medians["ours"],
        MUST,
        AIM,
        True,
        {"ours": medians["ours"], best: medians[best]},
    )
    table = {r: (1e3 / medians[r] if r in medians else 0.0, verdicts[r]) for r in readers}
    return row, table


def step_time(quick: bool) -> float:
    """Seconds of a training step of 32 clips: one clip on this CPU, times 32."""
    shape = (FRAMES, *JESTER)
    network = build_network("resnet18", num_classes=27, clip_shape=shape, convolution="3t", seed=0)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    clip, label = torch.randn(1, 3, *shape), torch.zeros(1, dtype=torch.int64)
    seconds = []
    for _ in range(2 if quick else 4):
        start = time.process_time()
        optimiser.zero_grad()
        F.cross_entropy(network(clip), label).backward()
        optimiser.step()
        seconds.append(time.process_time() - start)
    return BATCH * statistics.median(seconds[1:])


def step_tflop() -> float:
    """10^12 multiplications and additions, each counted, of a training step of 32 clips.

    Of the 3D convolutions alone: building the filters of a 3T network would come on top.
    """
    shape = (FRAMES, *JESTER)
    network = build_network("resnet18", num_classes=27, clip_shape=shape, convolution="3d", seed=0)
    clip = torch.empty(1, 3, *shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        network.to("meta")(clip).sum().backward()
    return BATCH * counter.get_total_flops() / 1e12


def feeding(what: str, name: str, per_core: float, step: float, must: float | None) -> Row:
    """Whether the workers read a batch in less than a step takes."""
    batch = BATCH / (per_core * WORKERS)
    return Row(
        f"feeding {what}, {name.split(':', maxsplit=1)[0]}",
        f"step / time in which {WORKERS} workers read its batch",
        step / batch,
        must,
        2.0 if must else None,
        True,
        {"step": 1e3 * step, "batch": 1e3 * batch},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--step-time", type=float, help="seconds of a step of 32 clips")
    parser.add_argument(
        "--gpu-tflops", type=float, default=A100_TFLOPS, help="what the GPU does at its peak"
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    rows, tables, missing = [], {}, dict[str, str]()
    with tempfile.TemporaryDirectory() as folder:
        for name in SAMPLES:
            row, tables[name] = compare(name, Path(folder), 3 if options.quick else 7, missing)
            rows.append(row)
    measured = options.step_time is None
    step = step_time(options.quick) if measured else options.step_time
    for name, table in tables.items():
        print(f"\n{name}, {FRAMES} frames to {SAMPLES[name][3]}: clips/s on one core")
        for reader, (speed, verdict) in sorted(table.items(), key=lambda item: -item[1][0]):
            print(f"  {reader:40}{speed:8.1f}   {verdict or 'correct'}")
    for rival, reason in missing.items():
        print(f"{rival}: not available: {reason}")
    print()
    likes = [name for name in SAMPLES if "-like" in name]
    tflop = step_tflop()
    bound = tflop / options.gpu_tflops
    for what, seconds, must in (("training", step, 1.0), ("a GPU at its peak", bound, None)):
        rows += [feeding(what, name, tables[name]["ours"][0], seconds, must) for name in likes]
    print_table(rows)
    origin = f"this CPU, one thread, one clip, times {BATCH}" if measured else "given"
    print(f"step of {BATCH} clips, 3T-ResNet18 at 30x150x224: {step:.3g} s ({origin})")
    print(f"  {tflop:.3g} TFLOP: {bound:.3g} s at {options.gpu_tflops:g} TFLOP/s, the GPU's peak")
    for name in likes:
        shortest = BATCH / (WORKERS * tables[name]["ours"][0])
        print(f"  {WORKERS} workers keep up with steps of {shortest:.3g} s or longer on {name}")
    took = time.perf_counter() - start
    print(f"one thread; medians in ms of processor time; measured in {took:.0f} s")
    if options.json:
        speeds = {
            name: {reader: {"clips_per_s": s, "fault": v} for reader, (s, v) in table.items()}
            for name, table in tables.items()
        }
        facts = {"decoders": speeds, "missing": missing, "step_s": step, "step_is": origin}
        facts |= {"step_tflop": tflop, "gpu_tflops": options.gpu_tflops}
        write_json(options.json, rows, quick=options.quick, **facts)


if __name__ == "__main__":
    main()
