"""Sanity checks: what ignores the weights is flagged, a gradient is not."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.saliency.gradient import gradient as library_gradient
from threetconv.explain.trust.sanity import COLUMNS, THRESHOLD, randomise, sanity, spearman, ssim
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network

SHAPE = (8, 24, 24)
CHANNELS = [Channel("conv1", 1), Channel("layer1.0.conv2", 2)]


@pytest.fixture(scope="module")
def network():
    return build_network("resnet18", num_classes=4, clip_shape=SHAPE, width=1 / 16, seed=0).eval()


@pytest.fixture(scope="module")
def clips():
    return torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(1))


def by_hand(network, clip, channel):
    """The strongest unit's gradient, by hand."""
    clip = clip.requires_grad_()
    outputs = []
    handle = network.get_submodule(channel.layer).register_forward_hook(
        lambda *call: outputs.append(call[2].clone())
    )
    network(clip.clone())
    handle.remove()
    outputs[0][0, channel.index].max().backward(inputs=[clip])
    return clip.grad[0].clamp_min(0).amax(0)


def edges(_network, clip, _channel):
    """Looks like an explanation, and knows nothing of the network."""
    brightness = clip[0].mean(0)
    return SimpleNamespace(map=brightness.diff(dim=-1, prepend=brightness[..., :1]).abs().numpy())


def class_gradient(network, clip, channel):
    clip = clip.requires_grad_()
    network(clip.clone())[0, channel.index].backward(inputs=[clip])
    return clip.grad[0].abs().amax(0)


def silent(_network, clip, _channel):
    return torch.zeros(clip.shape[2:])


class LooksAway:
    """Shows a square around a unit; of its own choice, a different one each time."""

    def __init__(self):
        self.asked = []

    def __call__(self, network, clip, channel, unit=None):
        self.asked.append(unit)
        t, y, x = unit or (0, 4 * len(self.asked), 4)
        shown = torch.zeros(clip.shape[2:])
        shown[t, y : y + 3, x : x + 3] = torch.arange(9.0).view(3, 3) + 1
        return SimpleNamespace(map=shown, unit=(t, y, x))


METHODS = {"gradient": by_hand, "edges": edges, "silent": silent}


def test_an_edge_detector_is_flagged_and_a_gradient_is_not(network, clips):
    table = sanity(network, clips, CHANNELS, METHODS, seed=0, run_id="r")
    assert list(table) == COLUMNS
    assert len(table) == 2 * 3 * 2 * 2
    assert set(table.run_id) == {"r"}
    assert set(table.randomised) == {"last layer", "all layers"}
    assert table.layer_index.tolist() == [0] * 12 + [1] * 12
    of = dict(list(table.groupby("method")))
    assert of["edges"].flagged.all()
    assert of["edges"].value.to_numpy() == pytest.approx(1.0)
    assert not of["gradient"].flagged.any()
    assert of["gradient"].value.notna().all()
    assert (of["gradient"].n == 2).all()
    assert of["silent"].value.isna().all()
    assert (of["silent"].n == 0).all()
    assert not of["silent"].flagged.any()
    assert (table.flagged == (table.value >= THRESHOLD)).all()


def test_the_unit_explained_stays_the_same(network, clips):
    """What shows the same thing about any weights is found out, wherever the strongest unit is."""
    method = LooksAway()
    table = sanity(network, clips, CHANNELS[1:], {"any": method}, seed=0)
    first, second = (0, 4, 4), (0, 8, 4)
    assert method.asked == [None, None, first, second, first, second]
    assert table.flagged.all()
    wanted = []

    def look(changed, clip, channel, **options):
        found = library_gradient(changed, clip, channel, **options)
        wanted.append((options.get("unit"), found.unit))
        return found

    table = sanity(network, clips[:1], CHANNELS[1:], {"gradient": look}, seed=0)
    (asked, chosen), *others = wanted
    assert asked is None
    assert others == [(chosen, chosen)] * 2
    assert not table.flagged.any()
    moved = library_gradient(randomise(network, ["conv1"], seed=0), clips[:1], CHANNELS[1]).unit
    assert moved != chosen  # so that it matters
    assert (table.value[table.similarity == "spearman"] > 0).any()


def test_layers_above_a_channel_do_not_count(network, clips):
    """Only the target's layer and what comes before it are drawn anew."""
    seen = []

    def look(changed, clip, channel):
        mine, theirs = network.state_dict(), changed.state_dict()
        different = {k.rpartition(".")[0] for k in mine if not torch.equal(mine[k], theirs[k])}
        seen.append(different)
        return edges(changed, clip, channel)

    sanity(network, clips[:1], [Channel("layer1.0.conv1", 0)], {"look": look}, seed=0)
    assert seen == [set(), {"layer1.0.conv1"}, {"conv1", "layer1.0.conv1"}]  # norms are constant
    seen.clear()
    sanity(network, clips[:1], [Channel("fc", 0)], {"look": look}, seed=0)
    assert seen[1] == {"fc"}
    convolutions = {n for n, m in network.named_modules() if isinstance(m, Conv3T | nn.Conv3d)}
    assert seen[2] == {"fc", *convolutions}


def test_a_class_is_checked_at_the_classifier(network, clips):
    table = sanity(network, clips, [Channel("fc", 1)], {"gradient": class_gradient}, seed=0)
    assert not table.flagged.any()


def test_a_network_of_permuted_labels(network, clips):
    other = build_network("resnet18", num_classes=4, clip_shape=SHAPE, width=1 / 16, seed=5)
    for relabelled, same in ((other, False), (copy.deepcopy(network), True)):
        table = sanity(
            network, clips, CHANNELS[1:], {"gradient": by_hand}, seed=0, relabelled=relabelled
        )
        lines = table[table.randomised == "labels"]
        assert len(lines) == 2
        assert (lines.flagged == same).all()
    assert other.training


def test_the_same_seed_and_any_order_give_the_same_numbers(network, clips):
    drawn = torch.random.get_rng_state()
    np.random.seed(3)  # noqa: NPY002 (the global generator is what must not be touched)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    both = sanity(network, clips, CHANNELS, {"gradient": by_hand}, seed=3)
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    turned = sanity(
        network,
        clips,
        CHANNELS[::-1],
        {"gradient": by_hand},
        seed=3,
        layer_index={"conv1": 0, "layer1.0.conv2": 2},
    )
    keys = ["layer", "method", "randomised", "similarity"]
    first, second = (t.set_index(keys).sort_index() for t in (both, turned))
    pd.testing.assert_series_equal(first.value, second.value)
    assert dict(zip(turned.layer, turned.layer_index, strict=True)) == {
        "conv1": 0,
        "layer1.0.conv2": 2,
    }
    another = sanity(network, clips, CHANNELS, {"gradient": by_hand}, seed=4)
    assert not np.allclose(another.value, both.value)


def test_the_network_is_left_as_it_was(clips):
    network = build_network("resnet18", num_classes=4, clip_shape=SHAPE, width=1 / 16, seed=0)
    network.layer1.eval()
    state = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    kept = clips.clone()
    steps = []
    sanity(
        network,
        clips,
        CHANNELS[:1],
        {"gradient": by_hand, "edges": edges},
        seed=0,
        progress=lambda *step: steps.append(step),
    )
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert all("forward" not in module.__dict__ for module in network.modules())
    assert torch.equal(clips, kept)
    assert steps == [(1, 2), (2, 2)]


def test_drawn_weights_have_the_spread_of_the_trained_ones():
    torch.manual_seed(0)
    network = nn.Sequential(Conv3T(32, 64, 3), nn.BatchNorm3d(64))
    with torch.no_grad():
        network[0].weight.mul_(3)
        network[0].scale.add_(0.05 * torch.randn(2, 64))
        network[1].bias.normal_(2.0, 0.5)
    drawn = randomise(network, ["0", "1"], seed=0)
    weight, old = drawn[0].weight.detach(), network[0].weight.detach()
    assert float(weight.std()) == pytest.approx(float(old.std()), rel=0.05)
    assert abs(float(torch.corrcoef(torch.stack([weight.flatten(), old.flatten()]))[0, 1])) < 0.05
    assert float(drawn[0].scale.detach().mean()) == pytest.approx(1.0, abs=0.03)
    assert float(drawn[0].scale.detach().std()) == pytest.approx(0.05, rel=0.3)
    assert torch.equal(drawn[0].rotate, network[0].rotate)  # all 0: nothing to draw
    assert float(drawn[1].bias.detach().mean()) == pytest.approx(2.0, abs=0.3)
    assert torch.equal(drawn[1].running_var, network[1].running_var)
    once = randomise(network, ["0"], seed=0)
    assert torch.equal(once[0].weight, weight)  # the cascade goes on from the last layer's draw
    assert torch.equal(once[1].bias, network[1].bias)


def test_spearman_is_scipys_where_either_map_shows_something():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 5, 5))
    assert spearman(a, b) == pytest.approx(spearmanr(abs(a).ravel(), abs(b).ravel()).statistic)
    padded = [np.pad(values, ((0, 0), (20, 20), (20, 20))) for values in (a, b)]
    assert spearman(*padded) == pytest.approx(spearman(a, b))
    assert spearman(a, -3 * a) == pytest.approx(1)


def test_maps_in_different_places_are_not_alike():
    a, b = np.zeros((2, 4, 20, 20))
    a[:, 2:8, 2:8] = np.random.default_rng(0).random((4, 6, 6))
    b[:, 12:18, 12:18] = np.random.default_rng(1).random((4, 6, 6))
    assert spearman(a, b) < 0
    assert ssim(a, b) < 0.2


def test_ssim_by_its_formula():
    """One window: a map as large as the window's radius, weights worked out by hand."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 1, 11, 11)) + 0.5
    x, y = a[0] / a.max(), b[0] / b.max()
    weights = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(weights, weights) / weights.sum() ** 2
    mean_x, mean_y = (window * x).sum(), (window * y).sum()
    var_x, var_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
    both = (window * (x - mean_x) * (y - mean_y)).sum()
    centre = ((2 * mean_x * mean_y + 1e-4) * (2 * both + 9e-4)) / (
        (mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4)
    )
    # all places but the centre are made to count for nothing by asking for the whole map twice
    from threetconv.explain.trust import sanity as module

    shown = module._shown
    only = np.zeros((1, 11, 11), bool)
    only[0, 5, 5] = True
    module._shown = lambda p, q: (*shown(p, q)[:2], only)
    try:
        assert ssim(a, b) == pytest.approx(centre, rel=1e-6)
    finally:
        module._shown = shown


def test_similarities_at_the_edges():
    a = np.random.default_rng(0).random((3, 12, 12))
    empty, flat = np.zeros_like(a), np.ones_like(a)
    assert ssim(a, 5 * a) == pytest.approx(1)
    assert spearman(a, empty) == 0  # it no longer shows anything: it changed
    assert ssim(a, empty) < 0.1
    assert spearman(a, flat) == 0
    assert spearman(flat, 2 * flat) == 1
    assert np.isnan(spearman(empty, empty))
    assert np.isnan(ssim(empty, empty))
    with pytest.raises(InputError, match="one shape"):
        ssim(a, a[:2])


def test_bad_input(network, clips):
    with pytest.raises(InputError, match="not called"):
        sanity(network, clips, [Channel("layer9", 0)], {"edges": edges}, seed=0)
    with pytest.raises(InputError, match="'flat' for conv1, channel 1"):
        sanity(network, clips, CHANNELS[:1], {"flat": lambda *_: np.zeros((24, 24))}, seed=0)
    with pytest.raises(InputError, match="finite: False"):
        sanity(network, clips, CHANNELS[:1], {"nan": lambda *_: np.full(SHAPE, np.nan)}, seed=0)


def test_nothing_to_check(network, clips):
    table = sanity(network, clips, [], {"edges": edges}, seed=0)
    assert list(table) == COLUMNS
    assert table.empty
