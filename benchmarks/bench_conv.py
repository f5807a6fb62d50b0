"""How fast Conv3T is: against the plain loop, and against the 3D convolution it replaces.

    python benchmarks/bench_conv.py [--quick] [--threads 2] [--json benchmarks/conv.json]

Every number is a ratio of medians from one interleaved run, so that a busy machine blurs it but
does not shift it. `--quick` is for seeing that it runs: few rounds, thin networks.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _limit import limit
from _timing import Row, interleaved, keep_memory, print_table, write_json
from plain_loop import PlainConv3T, growing_loop, plain_loop
from torch import Tensor, nn

from threetconv.layer.build_filters import build_filters
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network

CONSTRUCTIONS = {  # (out, in, kernel): must, aim
    (512, 512, 3): (6, 12),
    (128, 128, 3): (15, 30),
    (64, 64, 3): (15, 30),
    (64, 3, 7): (6, 12),
}
STEPS = {(16, (16, 48, 48)): (0.85, 0.6), (4, (16, 112, 112)): (0.95, 0.8)}
CLASSES = 27
Clips = tuple[int, tuple[int, int, int]]


def construction(shape: tuple[int, int, int], rounds: int) -> list[Row]:
    """Forward and backward of the filters alone."""
    out, inputs, kernel = shape
    must, aim = CONSTRUCTIONS[shape]
    transforms = 0.01 * torch.randn(4, kernel - 1, out)
    transforms[0] += 1
    parameters = [torch.randn(out, inputs, kernel, kernel), *transforms.unbind(0)]
    parameters = [parameter.clone() for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_()
    gradient = torch.randn(out, inputs, kernel, kernel, kernel)

    def both_ways(build: Callable[..., Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(build(*parameters), parameters, gradient)

    calls = 1 if out > 256 else 5
    builders = {"plain": plain_loop, "growing": growing_loop, "ours": build_filters}
    alternatives: dict[str, Callable[[], object]] = {
        name: both_ways(build) for name, build in builders.items()
    }
    alternatives["torch"] = both_ways(lambda *values: build_filters(*values, backend="torch"))
    alternatives["copy"] = gradient.clone
    medians = interleaved(alternatives, rounds=rounds, calls=calls)
    name = f"filters {inputs} -> {out}, {kernel}x{kernel}x{kernel}, forward + backward"
    rows = [
        Row(
            f"{name}, against {what}",
            "times faster",
            medians[key] / medians["ours"],
            must if key == "plain" else None,
            aim if key == "plain" else None,
            True,
            {name: medians[name] for name in (key, "ours")},
        )
        for key, what in {
            "plain": "the plain loop",
            "growing": "the authors' steps",
            "torch": "our torch operators",
        }.items()
    ]
    if out == 512:
        copies = medians["ours"] / medians["copy"]
        times = {name: medians[name] for name in ("ours", "copy")}
        rows.append(Row(f"{name}, in copies of the filter", "copies", copies, 8, 4, False, times))
    return rows + limit(name, parameters, gradient, alternatives["plain"], rounds)


def network(convolution: str, clips: Clips, width: float) -> nn.Module:
    """ResNet18; "plain" is a 3T network that builds its filters by the plain loop."""
    kind = "3d" if convolution == "3d" else "3t"
    built = build_network(
        "resnet18", num_classes=CLASSES, clip_shape=clips[1], convolution=kind, width=width, seed=0
    )
    if convolution == "plain":
        for module in built.modules():
            if isinstance(module, Conv3T):
                module.__class__ = PlainConv3T
    return built


def training_step(model: nn.Module, clips: Clips) -> Callable[[], object]:
    """One step of Adam on random clips."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    batch, shape = clips
    inputs, labels = torch.randn(batch, 3, *shape), torch.arange(batch) % CLASSES

    def step() -> None:
        optimiser.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimiser.step()

    return step


def steps(clips: Clips, rounds: int, width: float) -> list[Row]:
    """Whole training steps and evaluation of ResNet18."""
    must, aim = STEPS[clips]
    batch, (frames, height, _) = clips
    models = {name: network(name, clips, width) for name in ("3d", "3t", "plain")}
    named = f"{batch} clips {frames}x{height}x{height}"
    medians = interleaved(
        {name: training_step(model, clips) for name, model in models.items()}, rounds=rounds
    )
    rows = [
        _against(f"training step, {named}", "3T / 3D", medians, "3t", must, aim),
        _against(f"training step, {named}, plain loop", "3T / 3D", medians, "plain", None, None),
    ]
    inputs = torch.randn(batch, 3, *clips[1])
    with torch.no_grad():
        forwards = {name: partial(model.eval(), inputs) for name, model in models.items()}
        medians = interleaved(forwards, rounds=2 * rounds)
    rows.append(_against(f"evaluation, {named}", "3T / 3D", medians, "3t", 1.02, 1.0))
    return rows


def _against(  # noqa: PLR0917
    what: str, measure: str, medians: dict[str, float], name: str, must: Any, aim: Any
) -> Row:
    both = {key: medians[key] for key in ("3d", name)}
    return Row(what, measure, medians[name] / medians["3d"], must, aim, False, both)


def peak_memory(clips: Clips, width: float) -> Row:
    """Peak memory (MB) that training steps add to a fresh process."""
    peaks = {}
    for name in ("3d", "3t", "plain"):
        command = [sys.executable, __file__, "--peak", name, "--width", str(width)]
        command += [str(number) for number in (clips[0], *clips[1])]
        peaks[name] = float(subprocess.run(command, check=True, capture_output=True).stdout)
    batch, (frames, height, _) = clips
    what = f"peak memory of training, {batch} clips {frames}x{height}x{height}"
    return Row(what, "3T / 3D", peaks["3t"] / peaks["3d"], 1.0, 0.8, False, peaks)


def _peak(name: str, clips: Clips, width: float) -> None:
    """In a process of its own: print what three steps add to the memory in use, in MB."""
    build_filters(torch.zeros(1, 1, 3, 3), *torch.zeros(4, 2, 1))  # imports count for nobody
    training_step(
        nn.Sequential(nn.Conv3d(3, CLASSES, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
        (1, (1, 2, 2)),
    )()
    before = _high_water()
    step = training_step(network(name, clips, width), clips)
    for _ in range(3):
        step()
    print(_high_water() - before)


def _high_water() -> float:
    """The most memory (MB) this process has had. getrusage would count its parent's on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def first_call() -> dict[str, float]:
    """Seconds of a process's first construction: compiling, and from the cache on disk."""
    program = (
        "import time, torch; from threetconv.layer.build_filters import build_filters\n"
        "p = [torch.zeros(2, 8, 3, 3), *torch.zeros(4, 2, 2)]\n"
        "for q in p: q.requires_grad_()\n"
        "start = time.perf_counter(); build_filters(*p).sum().backward()\n"
        "print(time.perf_counter() - start)"
    )
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("compiled anew", "from the cache"):
            run = subprocess.run(
                [sys.executable, "-c", program],
                check=True,
                capture_output=True,
                env=os.environ | {"NUMBA_CACHE_DIR": folder},
            )
            seconds[name] = float(run.stdout)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, thin networks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--width", type=float, default=1.0, help=argparse.SUPPRESS)
    parser.add_argument("clips", nargs="*", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.peak:
        batch, frames, height, wide = options.clips
        _peak(options.peak, (batch, (frames, height, wide)), options.width)
        return
    keep_memory()
    start = time.perf_counter()
    width, rounds = (0.25, 3) if options.quick else (1.0, 9)
    rows = []
    for shape in CONSTRUCTIONS:
        rows += construction(shape, 5 if options.quick else 31)
    for clips in STEPS:
        rows += steps(clips, rounds, width)
    rows += [peak_memory(clips, width) for clips in STEPS]
    seconds = first_call()
    print_table(rows)
    print(
        "first construction of a process:", ", ".join(f"{n} {s:.1f} s" for n, s in seconds.items())
    )
    print(
        f"{torch.get_num_threads()} threads; medians in ms (memory: MB); "
        f"measured in {time.perf_counter() - start:.0f} s"
    )
    if options.json:
        write_json(options.json, rows, first_call_seconds=seconds, quick=options.quick)


if __name__ == "__main__":
    main()
