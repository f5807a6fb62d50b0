"""Filters cached between evaluations: built again when something changed, and only then."""

from __future__ import annotations

import copy
import pickle
import threading
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from threetconv.layer import conv3t, filter_cache
from threetconv.layer.build_filters import build_filters
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS
from threetconv.layer.filter_cache import cached_filters

from ..builders.conv_layers import make


class Count:
    """How often filters have been built for evaluation or otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        for module in (conv3t, filter_cache):
            monkeypatch.setattr(module, "build_filters", self)

    def __call__(self, *arguments: Any, **options: Any) -> Tensor:
        self.times += 1
        return build_filters(*arguments, **options)


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Count:
    return Count(monkeypatch)


def test_filters_are_built_once_per_forward_in_training(count: Count) -> None:
    layer = make(padding=1)
    for _ in range(3):
        layer(torch.zeros(1, 2, 4, 4, 4))
    assert count.times == 3
    assert layer._cache is None


@torch.no_grad()
def test_evaluation_builds_filters_again_only_when_something_changed(count: Count) -> None:
    """Every way to change a parameter, whether torch counts it as a change or not."""
    layer, clip = make(padding=1, spread=0.1).eval(), torch.randn(1, 2, 4, 4, 4)
    other = make(seed=5, padding=1, spread=0.1)

    def load() -> None:
        layer.load_state_dict(other.state_dict())

    def optimise(kind: Any, **options: Any) -> None:
        for parameter in layer.parameters():
            parameter.grad = torch.ones_like(parameter)
        kind(layer.parameters(), lr=0.1, **options).step()

    def average() -> None:  # as of an exponential moving average
        for mine, others in zip(layer.parameters(), other.parameters(), strict=True):
            mine.data.copy_(others.data)

    def from_vector() -> None:
        vector = nn.utils.parameters_to_vector(layer.parameters())
        nn.utils.vector_to_parameters(vector + 0.1, layer.parameters())

    def through_numpy() -> None:
        layer.scale.numpy()[0, 0] += 0.1

    def write(name: str, amount: float) -> None:
        getattr(layer, name).data.add_(amount)

    def replace() -> None:
        layer.scale = nn.Parameter(layer.scale + 0.1)

    def replace_sharing_memory() -> None:
        layer.rotate = nn.Parameter(layer.rotate.detach())
        layer.rotate.add_(0.1)

    changes = [
        lambda: layer.rotate.add_(0.1),
        layer.weight[0, 0].zero_,
        load,
        *(
            partial(optimise, kind, fused=fused)
            for kind in (torch.optim.SGD, torch.optim.AdamW, torch.optim.Adagrad)
            for fused in (False, True)
        ),
        average,
        from_vector,
        through_numpy,
        *(partial(write, name, 1e-6) for name in ("weight", *TEMPORAL_PARAMETERS)),
        replace,
        replace_sharing_memory,
        lambda: setattr(layer.translate_x, "data", layer.translate_x + 0.1),
        layer.double,
        lambda: setattr(layer, "filter_padding", "border"),
        lambda: layer.filters().mul_(2),  # somebody spoils the kept ones
    ]
    for change in changes:
        layer(clip.to(layer.weight.dtype))
        before = count.times
        layer(clip.to(layer.weight.dtype))
        assert count.times == before
        change()
        fresh = copy.deepcopy(layer)
        assert fresh._cache is None
        values = clip.to(layer.weight.dtype)
        assert torch.equal(layer(values), fresh(values))
        assert count.times == before + 2
    layer.train()
    assert layer._cache is None


def test_gradients_in_evaluation_are_not_lost(count: Count) -> None:
    """Cached filters have no graph: with gradients enabled they must not be used."""
    layer, clip = make(padding=1).eval(), torch.randn(1, 2, 4, 4, 4)
    with torch.no_grad():
        layer(clip)
    layer(clip).sum().backward()
    assert layer.scale.grad is not None
    layer.requires_grad_(False)  # now there is nothing to lose
    clip.requires_grad_()
    layer(clip).sum().backward()
    before = count.times
    layer(clip).sum().backward()
    assert count.times == before
    assert clip.grad is not None


def test_inference_mode_and_after(count: Count) -> None:
    layer, clip = make(padding=1).eval().requires_grad_(False), torch.randn(1, 2, 4, 4, 4)
    with torch.inference_mode():
        expected = layer(clip).clone()
    grown = clip.clone().requires_grad_()
    output = layer(grown)  # saves the kept filters for the way back
    output.sum().backward()
    assert count.times == 1
    torch.testing.assert_close(output.detach(), expected)
    with torch.inference_mode():
        inside = make(padding=1).eval()
        assert torch.equal(inside(clip), inside(clip))


def test_layers_without_numbers_have_only_shapes() -> None:
    layer = make(padding=1).eval().to("meta").requires_grad_(False)
    clip = torch.zeros(1, 2, 4, 4, 4, device="meta")
    for _ in range(2):
        assert layer(clip).shape == (1, layer.out_channels, 4, 4, 4)
    assert layer._cache is None


def test_cached_filters_are_in_no_copy_and_no_state_dict() -> None:
    layer, clip = make(padding=1, spread=0.1).eval(), torch.randn(1, 2, 4, 4, 4)
    names = list(layer.state_dict())
    with torch.no_grad():
        expected = layer(clip)
    assert layer._cache is not None
    assert list(layer.state_dict()) == names == ["weight", *TEMPORAL_PARAMETERS, "bias"]
    assert list(layer.buffers()) == []
    twins = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    for twin in twins:
        assert twin._cache is None
        assert torch.equal(twin(clip), expected)
    layer.forget_filters()
    assert layer._cache is None


@torch.no_grad()
def test_replicas_of_data_parallel_build_their_own() -> None:
    """As torch.nn.parallel.replicate makes them: a shallow copy with other tensors."""
    layer, clip = make(padding=1, spread=0.1).eval(), torch.randn(1, 2, 4, 4, 4)
    expected, mine = layer(clip), layer._cache
    replica: Any = layer._replicate_for_data_parallel()
    for name, parameter in layer.named_parameters():
        setattr(replica, name, parameter.detach() * 1.5)
    assert not torch.equal(replica(clip), expected)
    assert layer._cache is mine
    assert torch.equal(layer(clip), expected)


@torch.no_grad()
def test_threads_share_a_layer() -> None:
    layer, clip = make(padding=1, spread=0.1, out_channels=20).eval(), torch.randn(1, 2, 4, 4, 4)
    expected = layer(clip)
    outputs: list[Tensor] = []

    def run() -> None:
        with torch.no_grad():
            for _ in range(20):
                layer.forget_filters()
                outputs.append(layer(clip))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 80
    assert all(torch.equal(output, expected) for output in outputs)


@torch.no_grad()
def test_a_thread_gets_its_own_filters_while_another_stores_shorter_ones() -> None:
    """Clips of different length need different slices; the other thread stores in between."""
    layer = make(padding=1, spread=0.1).eval()
    whole = layer.filters()

    class Late(type(layer)):  # type: ignore[misc]
        """Stores another thread's filters right after its own."""

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "_cache" and value is not None and value.filters.shape[2] > 1:
                super().__setattr__(name, cached_filters(None, *shorter))

    names = ("weight", *TEMPORAL_PARAMETERS)
    options = {"filter_padding": "zeros", "align_corners": True, "slices": (1, 2)}
    shorter = (tuple(getattr(layer, name) for name in names), options)
    layer.__class__ = Late
    layer.forget_filters()
    assert torch.equal(layer.filters(), whole)
