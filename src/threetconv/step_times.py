"""Seconds per update of a network, measured on this machine or read from finished runs."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pandas as pd

from threetconv.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Step", "decode_rate", "measure_step", "network_size", "recorded_steps"]

SHARE = 0.5  # of the free memory that a measured batch may fill
CLASSES = 27  # of the measured network; how many hardly changes an update


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
    from threetconv.geometry import temporal_state  # noqa: PLC0415 (torch)

    network = _network(name, convolution, clip, width)
    temporal = sum(values.size for values in temporal_state(network).values())
    return sum(p.numel() for p in network.parameters()), temporal


def _network(name: str, convolution: str, clip: tuple[int, int, int], width: float) -> nn.Module:
    from threetconv.networks import build_network  # noqa: PLC0415 (torch)

    return build_network(
        name, convolution=convolution, num_classes=CLASSES, clip_shape=clip, width=width, seed=1
    )


def measure_step(
    name: str,
    convolution: str,
    clip: tuple[int, int, int],
    batch_size: int,
    *,
    width: float = 1.0,
    device: str = "cpu",
    threads: int = 1,
    steps: int = 3,
    budget: float = 30.0,
) -> Step:
    """Train on random clips for some updates and take the median of their times.

    Begins with two clips, to learn what a clip costs. The measured batch is as large as time and
    memory allow; if it is smaller than `batch_size`, the time is scaled by the number of clips, and
    `Step.source` says so.

    Args:
        name, convolution, clip, batch_size, width: of the run; clip is (frames, height, width).
        device: "cpu" or "cuda".
        threads: that torch uses on the CPU.
        steps: how many updates are timed, after one that is not.
        budget: seconds that the measurement should take at most.
    """
    import torch  # noqa: PLC0415 (slow)

    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(threads)
    try:
        network = _network(name, convolution, clip, width).to(device)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-5, fused=True)
        run = _Trial(network, optimiser, clip, device)
        clips, started = min(2, batch_size), time.perf_counter()
        _forget_peak(device)
        base = _peak(device)
        run.update(clips)
        peak = _peak(device)
        taken = peak - base if peak > base else peak
        seconds = run.update(clips)
        by_time = int(budget / (steps + 2) * clips / seconds)
        by_memory = int(SHARE * _memory_free(device) * clips / taken)
        wanted = max(clips, min(batch_size, by_time, by_memory))
        while wanted > clips:
            try:
                run.update(wanted)
                break
            except torch.cuda.OutOfMemoryError:
                wanted = max(clips, wanted // 2)
        times = [seconds] if wanted == clips else []
        while len(times) < steps and (not times or time.perf_counter() - started < budget):
            times.append(run.update(wanted))
        forward = run.forward(wanted) / wanted
    finally:
        torch.set_num_threads(before)
        torch.random.set_rng_state(state)  # dropout has drawn from it
    where = _where(device, threads)
    source = f"measured on {where}"
    if wanted < batch_size:
        source += f" with {wanted} of {batch_size} clips, scaled by their number"
    return Step(median(times) * batch_size / wanted, forward, source)


def _where(device: str, threads: int) -> str:
    import torch  # noqa: PLC0415 (slow)

    if device == "cuda":
        return str(torch.cuda.get_device_name())
    return f"this CPU, {threads} {'thread' if threads == 1 else 'threads'}"


class _Trial:
    """A network and random clips; every call gives seconds."""

    def __init__(
        self,
        network: nn.Module,
        optimiser: object,
        clip: tuple[int, int, int],
        device: str,
    ) -> None:
        self._network, self._optimiser, self._clip, self._device = network, optimiser, clip, device

    def _clips(self, n: int) -> tuple[Tensor, Tensor]:
        import torch  # noqa: PLC0415 (slow)

        generator = torch.Generator().manual_seed(n)
        inputs = torch.randn(n, 3, *self._clip, generator=generator)
        labels = torch.randint(CLASSES, (n,), generator=generator)
        return inputs.to(self._device), labels.to(self._device)

    def _timed(self, work: Callable[[], None]) -> float:
        import torch  # noqa: PLC0415 (slow)

        started = time.perf_counter()
        work()
        if self._device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    def update(self, n: int) -> float:
        """One update of `n` clips: forward, backward, Adam."""
        import torch.nn.functional as F  # noqa: PLC0415 (slow)

        inputs, labels = self._clips(n)
        self._network.train()

        def work() -> None:
            self._optimiser.zero_grad(set_to_none=True)  # type: ignore[attr-defined]
            output = self._network(inputs)
            heads = output if isinstance(output, tuple) else (output,)
            losses = [F.cross_entropy(head, labels) for head in heads if head is not None]
            sum(losses[1:], losses[0]).backward()
            self._optimiser.step()  # type: ignore[attr-defined]

        return self._timed(work)

    def forward(self, n: int) -> float:
        """A forward pass of `n` clips in evaluation mode."""
        import torch  # noqa: PLC0415 (slow)

        inputs, _ = self._clips(n)
        self._network.eval()

        def work() -> None:
            with torch.no_grad():
                self._network(inputs)

        return self._timed(work)


def _forget_peak(device: str) -> None:
    """Let `_peak` begin anew, where the system can."""
    if device == "cuda":
        import torch  # noqa: PLC0415 (slow)

        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak(device: str) -> float:
    """Bytes at the peak so far."""
    if device == "cuda":
        import torch  # noqa: PLC0415 (slow)

        return float(torch.cuda.max_memory_allocated())
    try:
        return _kilobytes("/proc/self/status", "VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _memory_free(device: str) -> float:
    """Bytes to be had; unlimited where the system does not say."""
    if device == "cuda":
        import torch  # noqa: PLC0415 (slow)

        return float(torch.cuda.mem_get_info()[0])
    try:
        return _kilobytes("/proc/meminfo", "MemAvailable")
    except OSError:
        return float("inf")


def _kilobytes(file: str, name: str) -> float:
    """A line such as ``VmHWM: 1234 kB`` in bytes."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def recorded_steps(results: str | Path) -> pd.DataFrame:
    """Seconds per update of finished runs, validation included, as they were.

    Args:
        results: results folder of a study; its ``runs/*/run.json`` are read.

    Returns:
        network, convolution, dataset, seconds (median over the runs of a kind), runs, batch_size,
        clip ("30x150x224"), parameters.

    Raises:
        InputError: no finished run.
    """
    from threetconv.runs import read_run  # noqa: PLC0415 (arrow)

    folder = Path(results) / "runs"
    records = [read_run(file.parent)["run"] for file in sorted(folder.glob("*/run.json"))]
    timed = [r for r in records if r.get("seconds") and r.get("n_updates")]
    if not timed:
        raise InputError(
            folder,
            found="no record of a finished run",
            expected="the results folder of a finished study, with runs/<run>/run.json",
            remedy="leave --from-results out to measure here, or give --step-time",
        )
    table = pd.DataFrame(timed)
    shape = table[["frames", "height", "width"]].astype(str).agg("x".join, axis=1)
    table = table.assign(seconds=table["seconds"] / table["n_updates"], clip=shape)
    cells = table.groupby(["network", "convolution", "dataset"], sort=False)
    return cells.agg(
        seconds=("seconds", "median"),
        runs=("seconds", "size"),
        batch_size=("batch_size", "first"),
        clip=("clip", "first"),
        parameters=("n_parameters", "first"),
    ).reset_index()


def decode_rate(
    table: pd.DataFrame, *, frames: int, size: tuple[int, int], clips: int = 12
) -> float:
    """Clips per second that one process decodes, from a few clips spread over a clip table."""
    from threetconv.decode import decode_clip  # noqa: PLC0415 (PyAV)

    paths = table["path"].tolist()
    chosen = paths[:: max(1, len(paths) // clips)][:clips]
    started = time.perf_counter()
    for path in chosen:
        decode_clip(path, frames=frames, size=size)
    return len(chosen) / (time.perf_counter() - started)
