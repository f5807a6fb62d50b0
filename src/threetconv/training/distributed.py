"""One training run on several processes, with the numbers of one process.

`join` finds out whether torchrun has started this process and as which of how many. Every process
then takes its `World.share` of each batch, runs a `prepare`d network, and computes its loss by
`scale`: the gradients are those of the mean loss over the whole batch, to rounding. The processes
are started by `threetconv.training.torchrun.launch`.

Two differences remain. Dropout draws other masks. Sums are taken in another order, so gradients
agree to rounding, not to the bit; training can amplify that, because Adam divides a gradient by its
own size and batch norm over few values divides by a small spread. Runs on CPUs with the same number
of processes repeat to the bit.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from threetconv.errors import InputError
from threetconv.training.synced_norm import gather, synchronise
from threetconv.training.torchrun import leave_word

__all__ = ["ALONE", "World", "join", "prepare", "scale"]

T = TypeVar("T")
TIMEOUT = 600.0  # seconds that a process waits for the others before it gives up


@dataclass(frozen=True)
class World:
    """The processes of a run, as one of them sees them.

    All methods but `share` are to be called by every process, in the same order.

    Attributes:
        rank: which one this is, from 0.
        size: how many there are.
        device: where this one computes: "cpu", or "cuda:0" and so on.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def share(self, group: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part of a batch, given as the indices of its items.

        The parts are in order and together the batch; sizes differ by at most one, and are 0 where
        there are more processes than items.
        """
        return np.array_split(group, self.size)[self.rank]

    def total(self, *values: float) -> tuple[float, ...]:
        """Sums over processes, in float64 and in order of rank: the same bits everywhere."""
        if self.size == 1:
            return tuple(float(value) for value in values)
        own = torch.tensor(values, dtype=torch.float64, device=self.device)
        return tuple(gather(own).sum(0).tolist())

    def each(self, value: T) -> list[T]:
        """Every process's value, in order of rank, everywhere. Tensors are to be on the CPU."""
        if self.size == 1:
            return [value]
        box: list[T | None] = [None] * self.size
        dist.all_gather_object(box, value)
        return cast(list[T], box)


ALONE = World()


@contextmanager
def join(device: str, *, timeout: float = TIMEOUT) -> Iterator[World]:
    """Meet the other processes of this run; leave them at the end, also on an error.

    Reads the environment that torchrun sets. A process that was started in another way, or as the
    only one, is alone. Processes communicate by gloo on CPUs and by NCCL on GPUs; each uses the GPU
    of its local rank.

    Args:
        device: "cpu" or "cuda".
        timeout: seconds to wait for the others, when meeting and at every exchange. One process
            may be busy alone for no longer than this. A process that dies ends the others at once.

    Raises:
        InputError: an environment that is not whole, or fewer GPUs than processes on this machine.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield World(device=device)
        return
    rank, size, local, _ = (
        # MASTER_PORT is only checked here; torch reads it itself
        _number(name)
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
    )
    if torch.device(device).type == "cuda":
        device = f"cuda:{local}"
        if local >= torch.cuda.device_count():
            raise InputError(
                f"process {rank} of {size}, device cuda",
                found=f"{torch.cuda.device_count()} GPUs on this machine",
                expected=f"a GPU of its own for each process, at least {local + 1}",
                remedy="start fewer processes, or ask for more GPUs",
            )
        # NCCL and torch's CUDA calls without a device then use this GPU, not the first
        torch.cuda.set_device(local)
    if size == 1:
        yield World(device=device)
        return
    backend = "nccl" if device.startswith("cuda") else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    try:
        yield World(rank, size, device)
    except BaseException as error:
        leave_word(error)  # before the others fail because this one is gone
        raise
    finally:
        dist.destroy_process_group()


def _number(name: str) -> int:
    text = os.environ.get(name, "nothing")
    if not text.isdecimal():
        raise InputError(
            f"environment variable {name}",
            found=text,
            expected="a number, as torchrun sets it",
            remedy="start by torchrun, or unset RANK and WORLD_SIZE to run one process",
        )
    return int(text)


def prepare(network: nn.Module, world: World) -> nn.Module:
    """What to call in training instead of `network`, which must be on its device already.

    One process: the network itself. Several: every batch norm takes the statistics of the whole
    batch (in place: `threetconv.training.synced_norm`), parameters become those of the first
    process, and each backward pass averages the gradients over processes. On CPUs that is done in
    order of rank: torch's own sum over three or more processes depends on where in a buffer a
    gradient lies. That changes after the first pass, so a run that goes on from a checkpoint would
    get other numbers. A process whose part of the batch is empty must still run forward and
    backward. `network` stays usable for evaluation and keeps the keys of its state dict.

    Micro-batches: run all but the last backward pass under the result's ``no_sync()``, and see that
    every process has as many of them.
    """
    if world.size == 1:
        return network
    device = torch.device(world.device)
    synchronise(network, device)
    known = inspect.signature(DistributedDataParallel).parameters
    # newer versions of torch have the first name and deprecate the second
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    # running statistics come from the whole batch and are equal everywhere: nothing to send
    options: dict[str, Any] = {option: False}
    if device.type == "cuda":
        options["device_ids"] = [device.index]
    model = DistributedDataParallel(network, **options)
    if device.type == "cpu":
        # NCCL's sums are left alone: bits are promised on CPUs only
        model.register_comm_hook(None, lambda _, bucket: _average_in_order(bucket.buffer()))
    return model


def _average_in_order(gradients: Tensor) -> torch.futures.Future[Tensor]:
    """Gradients averaged over processes, added up from the first to the last."""
    # (size, n): one row per process, a copy of its own, so adding in place is safe
    first, *others = gather(gradients)
    for other in others:
        first += other
    average: torch.futures.Future[Tensor] = torch.futures.Future()
    average.set_result(first / dist.get_world_size())
    return average


def scale(loss_sum: Tensor, count: float, world: World) -> Tensor:
    """The loss to call ``backward()`` on, so that averaged gradients are those of the mean loss.

    Args:
        loss_sum: sum of the losses of this process's items, a scalar.
        count: number of items in the whole batch, or the sum of their class weights: what the mean
            over the whole batch divides by.
        world: the processes.

    Returns:
        ``size * loss_sum / count``; its average over processes is the mean over the batch.
    """
    return loss_sum * (world.size / count)
