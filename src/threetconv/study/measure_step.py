"""Seconds per update of a network, measured on this machine (finished runs: `recorded_steps`)."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from threetconv.clips.bad_clips import BadClips
from threetconv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from threetconv.training.step import Steps

__all__ = [
    "Step",
    "decode_rate",
    "measure_step",
    "network_size",
    "precision_here",
]

SHARE = 0.5  # of the free memory that a measured batch may fill
CLASSES = 27  # of the measured network; how many hardly changes an update
RATE = 1e-5  # Adam's; too small to lead anywhere
RATES = dict.fromkeys(("other", "scale", "rotate", "translate"), RATE)


@dataclass(frozen=True)
class Step:
    """Seconds per update.

    Attributes:
        seconds: per update of a whole batch.
        validation: seconds per validation clip; 0 when `seconds` includes it.
        source: where the numbers are from, in words.
    """

    seconds: float
    validation: float
    source: str


def network_size(
    name: str, convolution: str, clip: tuple[int, int, int], width: float
) -> tuple[int, int]:
    """(number of parameters, how many of them are temporal)."""
    from threetconv.networks.trace import temporal_state  # torch

    network = _network(name, convolution, clip, width)
    temporal = sum(values.size for values in temporal_state(network).values())
    return sum(p.numel() for p in network.parameters()), temporal


def _network(
    name: str,
    convolution: str,
    clip: tuple[int, int, int],
    width: float,
    symmetric_time: bool = False,
) -> nn.Module:
    from threetconv.networks.build import build_network  # torch

    return build_network(
        name,
        convolution=convolution,
        num_classes=CLASSES,
        clip_shape=clip,
        width=width,
        seed=1,
        symmetric_time=symmetric_time,
        verify=False,  # its time alone is of interest
    )


def measure_step(
    name: str,
    convolution: str,
    clip: tuple[int, int, int],
    batch_size: int,
    *,
    micro_batch: int | None = None,
    precision: str = "float32",
    width: float = 1.0,
    symmetric_time: bool = False,
    device: str = "cpu",
    threads: int = 1,
    steps: int = 3,
    budget: float = 30.0,
) -> Step:
    """Train on random clips for some updates and take the median of their times.

    Updates are those of training (`threetconv.training.step`): a batch is taken in the parts that
    `micro_batch` makes of it, at `precision`. Begins with two clips, to learn what a clip costs.
    Then as many whole parts are measured as time allows, or one smaller part where time or memory
    do not allow a whole one. Where that is less than a batch, the time is scaled by the number of
    clips, and `Step.source` says so.

    Args:
        name, convolution, clip, batch_size, width, symmetric_time: of the run; clip is (frames,
            height, width).
        micro_batch: clips in memory at once; None: all.
        precision: name in `threetconv.training.settings.PRECISIONS`; see `precision_here`.
        device: "cpu" or "cuda".
        threads: that torch uses on the CPU.
        steps: how many updates are timed, after one that is not.
        budget: seconds that the measurement should take at most.
    """
    import torch  # slow

    from threetconv.training.distributed import ALONE  # torch
    from threetconv.training.settings import Settings  # torch
    from threetconv.training.step import Steps, parts_of  # torch

    settings = Settings(
        epochs=1,
        batch_size=batch_size,
        learning_rate=RATE,
        micro_batch=micro_batch,
        precision=precision,
    )
    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(threads)
    try:
        network = _network(name, convolution, clip, width, symmetric_time).to(device)
        its_steps = Steps(
            network, settings, labels=np.arange(CLASSES), device=torch.device(device), world=ALONE
        )
        run = _Trial(network, its_steps, clip, device)
        whole = [len(part) for part in parts_of(np.arange(batch_size), micro_batch)]
        clips, started = min(2, batch_size), time.perf_counter()
        _forget_peak(device)
        base = _peak(device)
        run.update(clips)
        peak = _peak(device)
        taken = peak - base if peak > base else peak
        seconds = run.update(clips)
        by_time = int(budget / (steps + 2) * clips / seconds)
        by_memory = int(SHARE * _memory_free(device) * clips / taken)
        parts = _parts(whole, clips, by_time, by_memory)
        while parts != [clips]:
            try:
                run.update(*parts)
                break
            except torch.cuda.OutOfMemoryError:
                parts = [max(clips, parts[0] // 2)]
        times = [seconds] if parts == [clips] else []
        while len(times) < steps and (not times or time.perf_counter() - started < budget):
            times.append(run.update(*parts))
        forward = run.forward(parts[0]) / parts[0]
    finally:
        torch.set_num_threads(before)
        torch.random.set_rng_state(state)  # dropout has drawn from it
    where = _where(device, threads)
    source = f"measured on {where}"
    if precision != "float32":
        source += f" in {precision}"
    if len(whole) > 1:
        source += f", {parts[0]} clips at a time"
    measured = sum(parts)
    if measured < batch_size:
        source += f" with {measured} of {batch_size} clips, scaled by their number"
    return Step(median(times) * batch_size / measured, forward, source)


def _parts(whole: list[int], least: int, by_time: int, by_memory: int) -> list[int]:
    """Sizes of the parts to measure: the first of `whole`, or one that is smaller than its first.

    Args:
        whole: sizes of the parts of a whole batch, the largest first.
        least: clips to measure at least.
        by_time, by_memory: clips to measure at most, in all and at once.
    """
    number = sum(sum(whole[: i + 1]) <= by_time for i in range(len(whole)))
    if number and whole[0] <= by_memory:
        return whole[:number]
    return [max(least, min(whole[0], by_time, by_memory))]


def precision_here(precision: str, device: str) -> tuple[str, str]:
    """At which precision a study's updates can be measured, and what must be said about it.

    Args:
        precision: of the study, name in `threetconv.training.settings.PRECISIONS`.
        device: where it is measured, "cpu" or "cuda".

    Returns:
        (`precision`, "") where training would run it; else ("float32", why), a sentence.
    """
    if precision == "float32":
        return precision, ""
    if device == "cpu":
        why = "training runs it on GPUs only"
    else:
        import torch  # slow

        if precision != "bfloat16" or torch.cuda.is_bf16_supported():
            return precision, ""
        why = f"{torch.cuda.get_device_name()} cannot"
    return "float32", (
        f"The study trains in {precision}, which was not measured here ({why}): what was measured "
        "is float32, which takes another time."
    )


def _where(device: str, threads: int) -> str:
    import torch  # slow

    if device == "cuda":
        return str(torch.cuda.get_device_name())
    return f"this CPU, {threads} {'thread' if threads == 1 else 'threads'}"


class _Trial:
    """A network and random clips; every call gives seconds."""

    def __init__(
        self,
        network: nn.Module,
        steps: Steps,
        clip: tuple[int, int, int],
        device: str,
    ) -> None:
        self._network, self._steps, self._clip, self._device = network, steps, clip, device

    def _clips(self, n: int) -> tuple[Tensor, Tensor]:
        import torch  # slow

        generator = torch.Generator().manual_seed(n)
        inputs = torch.randn(n, 3, *self._clip, generator=generator)
        labels = torch.randint(CLASSES, (n,), generator=generator)
        return inputs, labels

    def _timed(self, work: Callable[[], object]) -> float:
        import torch  # slow

        started = time.perf_counter()
        work()
        if self._device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def update(self, *parts: int) -> float:
        """One update, as in training, of a batch in parts of so many clips."""
        batches = [self._clips(n) for n in parts]
        labels = np.concatenate([its_labels.numpy() for _, its_labels in batches])
        return self._timed(lambda: self._steps.step(batches, labels, RATES))

    def forward(self, n: int) -> float:
        """A forward pass of `n` clips in evaluation mode."""
        import torch  # slow

        inputs, _ = self._clips(n)
        self._network.eval()

        def work() -> None:
            with torch.no_grad():
                self._network(inputs.to(self._device))

        return self._timed(work)


def _forget_peak(device: str) -> None:
    """Let `_peak` begin anew, where the system can."""
    if device == "cuda":
        import torch  # slow

        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak(device: str) -> float:
    """Bytes at the peak so far."""
    if device == "cuda":
        import torch  # slow

        return float(torch.cuda.max_memory_allocated())
    try:
        return _kilobytes("/proc/self/status", "VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _memory_free(device: str) -> float:
    """Bytes to be had; unlimited where the system does not say."""
    if device == "cuda":
        import torch  # slow

        return float(torch.cuda.mem_get_info()[0])
    try:
        return _kilobytes("/proc/meminfo", "MemAvailable")
    except OSError:
        return float("inf")


def _kilobytes(file: str, name: str) -> float:
    """A line such as ``VmHWM: 1234 kB`` in bytes."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def decode_rate(
    table: pd.DataFrame,
    *,
    frames: int,
    size: tuple[int, int],
    bad: BadClips,
    clips: int = 12,
) -> float | None:
    """Clips per second that one process decodes, from a few clips spread over a clip table.

    Args:
        table: clip table.
        frames, size: what is read of each clip.
        bad: what is done about clips that cannot be read; others are not counted.
        clips: how many are decoded.

    Returns:
        The rate; None when no clip could be read.

    Raises:
        InputError: a clip cannot be read, or too many, as `bad` says.
    """
    from threetconv.data.decoding.decode import decode_clip  # PyAV

    paths, done = table["path"].tolist(), 0
    seconds = 0.0
    for path in paths[:: max(1, len(paths) // clips)][:clips]:
        started = time.perf_counter()
        try:
            decode_clip(path, frames=frames, size=size)
        except InputError as error:
            bad.report(path, error)
            continue
        done, seconds = done + 1, seconds + time.perf_counter() - started
    return done / seconds if done else None
