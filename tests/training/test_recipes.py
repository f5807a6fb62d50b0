"""Recipes: parameter groups, starts off the identity, and the walk that noise alone makes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.networks.build import build_network
from threetconv.networks.trace import temporal_state, trace
from threetconv.records.noise_floor import noise_floor
from threetconv.training.loop import fit
from threetconv.training.recipes import (
    KINDS,
    PAPER,
    Recipe,
    parameter_groups,
    spread_transforms,
    temporal_parameters,
)
from threetconv.training.settings import Settings
from threetconv.training.step import Walks, weight_of_gradient

SHAPE = (16, 32, 32)


def small(seed: int = 0) -> nn.Module:
    return build_network(
        "resnet18", num_classes=3, clip_shape=SHAPE, width=0.125, weights=None, seed=seed
    )


def each(scale: float, rotate: float, translate: float) -> dict[str, float]:
    return {"scale": scale, "rotate": rotate, "translate": translate}


def test_groups_hold_every_parameter_once() -> None:
    network = small()
    groups = parameter_groups(network, lr=0.5, rate_factor=each(2, 3, 4), weight_decay=0.1)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in network.parameters())
    assert {g["kind"]: g["lr"] for g in groups} == {
        "other": 0.5, "scale": 1.0, "rotate": 1.5, "translate": 2.0,
    }  # fmt: skip
    decayed = [g["params"] for g in groups if g["weight_decay"]]
    assert [g["weight_decay"] for g in groups if g["weight_decay"]] == [0.1]
    transforms = {id(p) for g in groups if g["kind"] != "other" for p in g["params"]}
    assert {id(p) for p in decayed[0]} == {
        id(p) for p in network.parameters() if p.ndim > 1 and id(p) not in transforms
    }
    scales = next(g["params"] for g in groups if g["kind"] == "scale")
    assert {id(p) for p in scales} == {
        id(m.scale) for m in network.modules() if isinstance(m, Conv3T) and m.kernel_size[0] > 1
    }


def test_a_network_without_3t_layers_has_one_group() -> None:
    groups = parameter_groups(nn.Linear(2, 2), lr=1e-3, rate_factor=30)
    assert [group["kind"] for group in groups] == ["other"]


def test_a_layer_used_twice_is_in_its_group_once() -> None:
    layer = Conv3T(2, 2, 3, padding=1)
    groups = parameter_groups(nn.Sequential(layer, layer), lr=1.0)
    assert sum(len(group["params"]) for group in groups) == len(list(layer.parameters()))


@pytest.mark.parametrize("factor", [{"scale": 1.0}, {**each(1, 1, 1), "weights": 2.0}])
def test_factors_of_other_kinds_are_refused(factor: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="scale, rotate and translate"):
        parameter_groups(small(), lr=1.0, rate_factor=factor)


def test_a_spread_start_has_its_sd_where_gradients_reach() -> None:
    network = small()
    spread_transforms(network, SHAPE, each(0.1, 0.2, 0.3), seed=5)
    state = temporal_state(network)
    moved: dict[str, list[np.ndarray]] = {"scale": [], "rotate": [], "translate": []}
    for layer in trace(network, SHAPE):
        reached = np.array(layer.reachable)
        for name in TEMPORAL_PARAMETERS:
            values = state[f"{layer.name}.{name}"] - (name == "scale")
            assert not values[~reached].any()
            moved[KINDS[name]].append(values[reached].ravel())
    assert any(not all(layer.reachable) for layer in trace(network, SHAPE))
    for kind, wanted in each(0.1, 0.2, 0.3).items():
        values = np.concatenate(moved[kind])
        assert values.std() == pytest.approx(wanted, rel=4 / math.sqrt(2 * values.size))
        assert abs(values.mean()) < 4 * wanted / math.sqrt(values.size)


def test_a_spread_start_follows_its_seed_alone() -> None:
    first, second, other = small(), small(), small()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    spread_transforms(first, SHAPE, 0.2, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    spread_transforms(second, SHAPE, 0.2, seed=5)
    spread_transforms(other, SHAPE, 0.2, seed=6)
    one, two, three = (temporal_state(n) for n in (first, second, other))
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert not all(np.array_equal(one[key], three[key]) for key in one)


class Points:
    """Clips of noise whose labels are noise as well."""

    def __init__(self, n: int = 48) -> None:
        self.clips = torch.randn(n, 3, 4, 8, 8, generator=torch.Generator().manual_seed(3))
        self.labels = np.random.default_rng(3).integers(0, 3, n)

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(self, groups, *, epoch):
        for group in groups:
            yield self.clips[group], torch.from_numpy(self.labels[group])


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        Conv3T(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


BASE = Settings(epochs=2, batch_size=8, learning_rate=1e-3, schedule="constant", snapshot_every=5)


def last(settings: Settings) -> dict[str, np.ndarray]:
    result = fit(tiny(), Points(), Points(), settings, seed=1)
    return result.snapshots[-1].values


def test_rates_reach_their_own_kind_only() -> None:
    still = replace(BASE, recipe=Recipe("still", rate_factor=each(0, 0, 5)))
    values = last(still)
    assert (values["0.scale"] == 1).all()
    assert not values["0.rotate"].any()
    # Adam's first step is the rate itself
    first = fit(tiny(), Points(8), Points(), replace(still, epochs=1), seed=1).snapshots[-1]
    moved = np.abs(first.values["0.translate_x"])
    assert moved.max() == pytest.approx(5e-3, rel=1e-3)


def test_the_papers_recipe_is_plain_adam() -> None:
    network = tiny()
    torch.manual_seed(7)
    result = fit(network, Points(), Points(), replace(BASE, epochs=1), seed=1)
    plain, points = tiny(), Points()
    optimiser = torch.optim.Adam(plain.parameters(), lr=1e-3, fused=True)
    order = np.random.default_rng([1, 1]).permutation(len(points))
    for start in range(0, len(points), 8):
        ((clips, labels),) = points([order[start : start + 8]], epoch=1)
        optimiser.zero_grad()
        nn.functional.cross_entropy(plain(clips), labels).backward()
        optimiser.step()
    for name, value in temporal_state(plain).items():
        assert np.allclose(result.snapshots[-1].values[name], value, rtol=1e-5, atol=1e-8)


def test_decay_pulls_to_the_identity_and_not_to_zero() -> None:
    recipe = Recipe("decay", rate_factor=each(10, 10, 10), decay=5.0)
    without, with_decay = (
        last(replace(BASE, recipe=replace(recipe, decay=0.0))),
        last(replace(BASE, recipe=recipe)),
    )
    for name, identity in (("scale", 1.0), ("rotate", 0.0), ("translate_x", 0.0)):
        far = np.abs(without[f"0.{name}"] - identity).mean()
        assert np.abs(with_decay[f"0.{name}"] - identity).mean() < far
    assert abs(with_decay["0.scale"].mean() - 1) < 0.05


def test_a_schedule_of_their_own() -> None:
    recipe = Recipe("own", schedule="cosine")
    result = fit(tiny(), Points(), Points(), replace(BASE, recipe=recipe), seed=1)
    total = result.n_updates
    rates = [1e-3 * 0.5 * (1 + math.cos(math.pi * i / total)) for i in range(total)]
    assert result.sum_lr2 == pytest.approx(sum(r**2 for r in rates))


def test_the_walk_is_the_spread_that_noise_makes() -> None:
    """Many parameters under Adam with independent noise for gradients that fade: sqrt(Q) is right.

    The bound sqrt(sum lr^2) is too wide there, because Adam's v remembers larger gradients.
    """
    layer = Conv3T(1, 20_000, (2, 1, 1), bias=False)
    optimiser = torch.optim.Adam(parameter_groups(layer, lr=1e-3))
    walks = Walks(layer, optimiser)
    generator = torch.Generator().manual_seed(2)
    rates, steps = dict.fromkeys(("other", *KINDS.values()), 0.001), 400
    for step in range(steps):
        for _, _, parameter in temporal_parameters(layer):
            size = math.exp(-4 * step / steps)  # falls to 2 %
            parameter.grad = size * torch.randn(parameter.shape, generator=generator)
        optimiser.step()
        walks.add(rates, decay=0.0)
    moved = np.abs(temporal_state_of(layer)["rotate"]).mean()
    found = walks.arrays()[".rotate"]
    # the mean |z| of normal numbers whose variances are Q
    assert noise_floor(found).mean() == pytest.approx(moved, rel=0.06)
    assert noise_floor(steps * 1e-6) > 1.1 * moved


def temporal_state_of(layer: Conv3T) -> dict[str, np.ndarray]:
    return {name: getattr(layer, name).detach().numpy() for name in TEMPORAL_PARAMETERS}


def test_the_first_gradients_count_more_than_once() -> None:
    """Against Adam itself: one gradient, then none; all steps that follow, times sqrt(v)."""
    for first in (1, 4, 30):
        value = torch.zeros(1, requires_grad=True)
        optimiser = torch.optim.Adam([value], lr=1.0, betas=(0.9, 0.0), eps=0.0)
        moved = 0.0
        for step in range(1, first + 200):
            # v without memory is g^2; a tiny gradient keeps later steps from dividing by zero
            value.grad = torch.tensor([1.0 if step == first else 1e-12])
            before = value.item()
            optimiser.step()
            if step >= first:
                size = 1.0 if step == first else 1e-12
                moved += (before - value.item()) * size
        assert moved == pytest.approx(weight_of_gradient(first, 0.9), rel=0.02)


def test_walks_of_unreachable_and_frozen_parameters_are_zero() -> None:
    layer = Conv3T(1, 4, (3, 1, 1), bias=False)
    layer.rotate.requires_grad_(False)
    optimiser = torch.optim.Adam(parameter_groups(layer, lr=1e-3))
    walks = Walks(layer, optimiser)
    for name in ("scale", "translate_x", "translate_y"):
        getattr(layer, name).grad = torch.zeros_like(layer.scale)
    layer.scale.grad[0] = 1.0
    optimiser.step()
    walks.add(dict.fromkeys(("other", *KINDS.values()), 1e-3), decay=0.0)
    found = walks.arrays()
    # g / sqrt(v) is 1 at the first update, whose gradient stays in the momentum
    assert found[".scale"][0] == pytest.approx((weight_of_gradient(1, 0.9) * 1e-3) ** 2, rel=1e-4)
    assert not found[".scale"][1].any()
    assert not found[".rotate"].any()


def test_the_paper_is_the_default() -> None:
    assert Settings.from_dict({"epochs": 1, "batch_size": 2, "learning_rate": 1.0}).recipe == PAPER
    settings = replace(BASE, recipe=Recipe("x", each(1, 2, 3), each(0, 0.1, 0.2), 0.5, "cosine"))
    assert Settings.from_dict(settings.to_dict()) == settings
