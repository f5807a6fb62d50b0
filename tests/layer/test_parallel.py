"""3T networks under DistributedDataParallel, and in several threads at once as by DataParallel."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from threetconv.layer.conv3t import Conv3T

WORLD = 2


def network() -> nn.Sequential:
    """Two 3T layers off the identity, where the gradient of a transform has one side only."""
    torch.manual_seed(0)
    layers = nn.Sequential(
        Conv3T(3, 8, 3, padding=1), nn.ReLU(), Conv3T(8, 4, 5, padding=2), nn.AdaptiveAvgPool3d(1)
    )
    with torch.no_grad():
        for name, parameter in layers.named_parameters():
            if not name.endswith(("weight", "bias")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return layers


def clips() -> Tensor:
    return torch.randn(2 * WORLD, 3, 6, 9, 9, generator=torch.Generator().manual_seed(1))


def gradients(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    model(inputs).square().mean().backward()
    return {
        name.removeprefix("module."): parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def worker(rank: int, store: str, out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=WORLD)
    model = DistributedDataParallel(network())
    share = clips().chunk(WORLD)[rank]
    for step in range(2):  # the second meets filters and buckets of the first
        found = gradients(model, share)
        torch.save(found, f"{out}/{rank}-{step}.pt")
    dist.destroy_process_group()


def test_two_processes_have_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # a short path: the store is a file
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        mp.spawn(worker, args=(f"{folder}/store", str(tmp_path)), nprocs=WORLD)
    expected = gradients(network(), clips())
    assert {name.rpartition(".")[2] for name in expected} > {"weight", "bias"}
    for rank in range(WORLD):
        for step in range(2):
            found = torch.load(tmp_path / f"{rank}-{step}.pt", weights_only=True)
            assert found.keys() == expected.keys()
            for name, gradient in expected.items():
                torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_threads_share_a_network(training: bool) -> None:
    """What DataParallel does with replicas: forward and backward side by side, same numbers."""
    model = network().train(training)

    def step(part: Tensor) -> tuple[Tensor, ...]:
        loss = model(part).square().mean()
        return torch.autograd.grad(loss, list(model.parameters()))

    parts = [part.contiguous() for part in clips().split(1)] * 4
    alone = [step(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(step, parts))
    for first, second in zip(alone, together, strict=True):
        for a, b in zip(first, second, strict=True):
            torch.testing.assert_close(a, b)
