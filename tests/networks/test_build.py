"""The study's networks: the paper's parameter counts, weights, shapes, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import (
    NETWORKS,
    FittingPool3d,
    build_2d,
    build_network,
    load_2d_weights,
)
from threetconv.networks.lift import lift
from threetconv.networks.lift_convolutions import CONVOLUTIONS
from threetconv.networks.registry import CATALOGUE
from threetconv.records.paper_numbers import paper_parameter_counts
from threetconv.study.reference import study_schema

PAPER = {"jester": (27, (30, 150, 224)), "ucf101": (101, (30, 168, 224))}


@pytest.fixture(scope="module")
def googlenet_2d() -> dict[str, torch.Tensor]:
    return build_2d("googlenet", num_classes=9, width=0.125, seed=3).state_dict()


@pytest.mark.parametrize(
    "row", list(paper_parameter_counts().itertuples(index=False)), ids=lambda row: "-".join(row[:3])
)
def test_parameter_counts_are_table_1s(row: Any) -> None:
    num_classes, clip_shape = PAPER[row.dataset]
    with torch.device("meta"):
        network = build_network(
            row.network,
            convolution=row.convolution,
            num_classes=num_classes,
            clip_shape=clip_shape,
        )
    assert sum(p.numel() for p in network.parameters()) == row.n_parameters
    if row.network == "googlenet":
        for head in (network.aux1, network.aux2):
            assert isinstance(head, nn.Module)
            assert head.fc1.in_features == 768
            assert head.fc2.out_features == num_classes


def test_all_eight_counts_are_there() -> None:
    table = paper_parameter_counts()
    assert len(table.drop_duplicates(["dataset", "network", "convolution"])) == 8
    assert set(table["network"]) <= set(NETWORKS)


def test_the_registries_and_the_schema_agree() -> None:
    enum = study_schema()["properties"]["networks"]["items"]["enum"]
    assert sorted(enum) == sorted(NETWORKS) == sorted(CATALOGUE)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_thin_networks_run_forwards_and_backwards(name: str, convolution: str) -> None:
    network = build_network(
        name,
        convolution=convolution,
        num_classes=5,
        clip_shape=(16, 32, 32),
        width=0.125,
        seed=0,
    )
    assert network.training
    clips = torch.randn(3, 3, 16, 32, 32, generator=torch.Generator().manual_seed(0))
    output = network(clips)
    heads = [output] if isinstance(output, torch.Tensor) else list(output)
    assert len(heads) == (3 if name == "googlenet" else 1)
    assert all(head.shape == (3, 5) for head in heads)
    sum(head.square().sum() for head in heads).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert bool(parameter.grad.isfinite().all()), parameter_name
    assert network.eval()(clips).shape == (3, 5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_smallest_clip_passes(name: str) -> None:
    shape = (CATALOGUE[name].depth, 16, 16)
    network = build_network(name, num_classes=4, clip_shape=shape, width=0.125, seed=0)
    assert network.eval()(torch.zeros(1, 3, *shape)).shape == (1, 4)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_catalogues_depth_is_that_of_the_deepest_filter(name: str) -> None:
    with torch.device("meta"):
        network = build_network(name, num_classes=4, clip_shape=(16, 32, 32))
    depths = [m.kernel_size[0] for m in network.modules() if isinstance(m, Conv3T | nn.Conv3d)]
    assert max(depths) == CATALOGUE[name].depth


@pytest.mark.parametrize("name", NETWORKS)
def test_layer_names_are_those_of_torchvision(name: str) -> None:
    flat = build_2d(name, num_classes=5, width=0.125, seed=0)
    network = build_network(name, num_classes=5, clip_shape=(16, 32, 32), width=0.125, seed=0)
    flat_names = {n for n, m in flat.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)}
    names = {
        n for n, m in network.named_modules() if isinstance(m, nn.Conv3d | Conv3T | nn.BatchNorm3d)
    }
    assert names == flat_names


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_carry_over(name: str, tmp_path: Path) -> None:
    """From a file, into a network with another number of classes."""
    flat = build_2d(name, num_classes=9, width=0.125, seed=3)
    with torch.no_grad():
        for module in flat.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.fill_(0.5)
                module.weight.fill_(2)
    file = tmp_path / "weights.safetensors"
    save_file(flat.state_dict(), file)
    arguments: dict[str, Any] = {
        "num_classes": 5,
        "clip_shape": (16, 32, 32),
        "width": 0.125,
        "weights": file,
    }
    three_t = build_network(name, seed=0, **arguments)
    three_d = build_network(name, seed=0, convolution="3d", **arguments)
    everything = build_network(name, seed=0, carry="all", **arguments)
    layers, in_3d = dict(three_t.named_modules()), dict(three_d.named_modules())
    seen = 0
    for layer, module in flat.named_modules():
        if isinstance(module, nn.Conv2d):
            weight = in_3d[layer].weight
            torch.testing.assert_close(weight.sum(2), module.weight, rtol=1e-5, atol=1e-6)
            if module.kernel_size != (1, 1):
                seen += 1
                assert torch.equal(layers[layer].weight, module.weight)
                assert bool((layers[layer].scale == 1).all())
        elif isinstance(module, nn.BatchNorm2d):
            assert bool((layers[layer].running_mean == 0).all())
            assert bool((layers[layer].weight == 1).all())
            assert bool((dict(everything.named_modules())[layer].running_mean == 0.5).all())
            assert bool((dict(everything.named_modules())[layer].weight == 2).all())
    assert seen == {"resnet18": 17, "googlenet": 20}[name]


def test_a_still_clip_in_the_first_layer() -> None:
    """At the identity, away from the borders in time, D times what the 2D network has."""
    flat: Any = build_2d("resnet18", num_classes=4, width=0.125, seed=1)
    network: Any = build_network(
        "resnet18",
        num_classes=4,
        clip_shape=(16, 32, 32),
        width=0.125,
        weights=flat.state_dict(),
    )
    frame = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    output = network.conv1(frame.unsqueeze(2).expand(-1, -1, 16, -1, -1))
    expected = 7 * flat.conv1(frame)
    for t in range(2, 6):  # frames 2 t - 3 ... 2 t + 3 are all inside the clip
        torch.testing.assert_close(output[:, :, t], expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(output[:, :, 0], expected, atol=1e-2)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_seeds_decide_and_the_global_generator_is_left_alone(name: str, convolution: str) -> None:
    def build(seed: int) -> dict[str, torch.Tensor]:
        return build_network(
            name,
            convolution=convolution,
            num_classes=5,
            clip_shape=(8, 32, 32),
            width=0.125,
            seed=seed,
        ).state_dict()

    before = torch.get_rng_state()
    first, again, other = build(1), build(1), build(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])
    assert not torch.equal(
        next(value for key, value in first.items() if key.startswith("conv1.")),
        next(value for key, value in other.items() if key.startswith("conv1.")),
    )


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'resnet18'"):
        build_network("resnet-18", num_classes=5, clip_shape=(16, 32, 32))
    with pytest.raises(InputError, match="one of 2d, 3d, 3t, r2plus1d"):
        build_network("resnet18", convolution="flat", num_classes=5, clip_shape=(16, 32, 32))
    with pytest.raises(InputError, match="googlenet, resnet18"):
        build_2d("vgg", num_classes=5)


def test_a_clip_shorter_than_the_first_filter_is_refused() -> None:
    with pytest.raises(InputError, match="at least 7 frames"):
        build_network("googlenet", num_classes=5, clip_shape=(6, 32, 32))


def test_a_width_that_is_not_whole_is_refused() -> None:
    with pytest.raises(InputError, match=r"0\.5, 0\.25 or 0\.125"):
        build_network("resnet18", num_classes=5, clip_shape=(16, 32, 32), width=0.3)


def test_weights_of_another_width_or_network_are_refused(
    googlenet_2d: dict[str, torch.Tensor],
) -> None:
    wide = build_2d("googlenet", num_classes=5, width=0.25, seed=0)
    with pytest.raises(InputError, match="same 2D network at the same width"):
        load_2d_weights(wide, googlenet_2d)
    resnet = build_2d("resnet18", num_classes=5, width=0.125, seed=0)
    with pytest.raises(InputError, match="no such entry"):
        load_2d_weights(resnet, googlenet_2d)


def test_weights_without_counts_of_batches_load(googlenet_2d: dict[str, torch.Tensor]) -> None:
    """Some of torchvision's files are older than that entry."""
    old = {k: v for k, v in googlenet_2d.items() if not k.endswith("num_batches_tracked")}
    model = build_2d("googlenet", num_classes=5, width=0.125, seed=0)
    load_2d_weights(model, old)
    assert torch.equal(model.state_dict()["conv1.conv.weight"], old["conv1.conv.weight"])


def test_a_classifier_of_another_size_stays(googlenet_2d: dict[str, torch.Tensor]) -> None:
    model = build_2d("googlenet", num_classes=5, width=0.125, seed=0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    load_2d_weights(model, googlenet_2d)
    after = model.state_dict()
    assert torch.equal(after["fc.weight"], before["fc.weight"])
    assert torch.equal(after["aux1.fc1.weight"], googlenet_2d["aux1.fc1.weight"])


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_an_unreadable_file_is_refused(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(b"not weights")
    with pytest.raises(InputError, match=rf"weights\{suffix}"):
        build_network("resnet18", num_classes=5, clip_shape=(16, 32, 32), width=0.125, weights=file)
    with pytest.raises(InputError, match="missing"):
        load_2d_weights(nn.Linear(2, 2), tmp_path / f"missing{suffix}")


def test_weights_from_a_pt_file(tmp_path: Path, googlenet_2d: dict[str, torch.Tensor]) -> None:
    file = tmp_path / "weights.pt"
    torch.save(googlenet_2d, file)
    model = build_2d("googlenet", num_classes=9, width=0.125, seed=0)
    load_2d_weights(model, file)
    assert all(torch.equal(v, googlenet_2d[k]) for k, v in model.state_dict().items())


def test_the_fitting_pool_is_plain_pooling_where_it_fits() -> None:
    clip = torch.randn(1, 2, 7, 8, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(FittingPool3d("max", 3, 2)(clip), nn.MaxPool3d(3, 2)(clip))
    assert torch.equal(FittingPool3d("average", 5, 3)(clip), nn.AvgPool3d(5, 3)(clip))
    pool = FittingPool3d("max", 3, 2)
    assert pool(clip[:, :, :1, :2]).shape[2:] == (1, 1, 4) == tuple(pool.output_size((1, 2, 9)))


def test_the_2d_network_of_a_video_network_is_torchvisions() -> None:
    flat = build_2d("resnet18", num_classes=6)
    assert type(flat).__module__.startswith("torchvision")
    assert type(lift(flat)) is type(flat)


def test_googlenet_pools_and_norms_are_the_authors():
    """18 x 27 features behind the second pool at 150 x 224, and torch's own eps in fresh norms."""
    network = build_network("googlenet", num_classes=27, clip_shape=(30, 150, 224), width=0.125)
    shapes = []
    hook = network.maxpool2.register_forward_hook(lambda m, a, out: shapes.append(out.shape[2:]))
    network.to("meta").eval()(torch.zeros(1, 3, 30, 150, 224, device="meta"))
    hook.remove()
    assert shapes == [(15, 18, 27)]
    eps = {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm3d)}
    assert eps == {1e-5}
    weights = build_2d("googlenet", num_classes=27, width=0.125).state_dict()
    carried = build_network(
        "googlenet",
        num_classes=27,
        clip_shape=(30, 150, 224),
        width=0.125,
        weights=weights,
        carry="all",
    )
    assert {m.eps for m in carried.modules() if isinstance(m, nn.BatchNorm3d)} == {1e-3}
