"""Checkpoints in the layout of the authors' code, written and run here without ours.

`write` makes such a state dict from a table of layers, and `Theirs` computes what the authors'
networks compute from one, with a plain `affine_grid` and `grid_sample` loop.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import threetconv
from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.authors import load_authors_checkpoint
from threetconv.networks.build import build_network

CLIP = (16, 40, 48)  # the first two max-pools of GoogLeNet meet an odd size each
CLASSES = 5
State = dict[str, Tensor]

# number: (kernel, in, out) at full width
RESNET18 = {
    1: (7, 3, 64),
    **dict.fromkeys((2, 3, 4, 5), (3, 64, 64)),
    6: (1, 64, 128),
    7: (3, 64, 128),
    **dict.fromkeys((8, 9, 10), (3, 128, 128)),
    11: (1, 128, 256),
    12: (3, 128, 256),
    **dict.fromkeys((13, 14, 15), (3, 256, 256)),
    16: (1, 256, 512),
    17: (3, 256, 512),
    **dict.fromkeys((18, 19, 20), (3, 512, 512)),
}
# first number of an inception block: (in, branch 1, branch 2, branch 3, branch 4)
INCEPTION: dict[int, tuple[int, int, tuple[int, int], tuple[int, int], int]] = {
    4: (192, 64, (96, 128), (16, 32), 32),
    10: (256, 128, (128, 192), (32, 96), 64),
    16: (480, 192, (96, 208), (16, 48), 64),
    22: (512, 160, (112, 224), (24, 64), 64),
    29: (512, 128, (128, 256), (24, 64), 64),
    35: (512, 112, (144, 288), (32, 64), 64),
    41: (528, 256, (160, 320), (32, 128), 128),
    48: (832, 256, (160, 320), (32, 128), 128),
    54: (832, 384, (192, 384), (48, 128), 128),
}
GOOGLENET = {1: (7, 3, 64), 2: (1, 64, 64), 3: (3, 64, 192), 28: (1, 512, 128), 47: (1, 528, 128)}
for _first, (_in, _one, _two, _three, _four) in INCEPTION.items():
    _kinds = ((1, _in, _one), (1, _in, _two[0]), (3, *_two), (1, _in, _three[0]), (3, *_three))
    GOOGLENET |= dict(enumerate((*_kinds, (1, _in, _four)), start=_first))
LAYERS = {"resnet18": RESNET18, "googlenet": GOOGLENET}
LINEAR = {  # (in, out) at full width; None is the number of classes
    "resnet18": {"fc": (512, None)},
    "googlenet": {
        "fc1": (128, 1024),
        "fc2": (1024, None),
        "fc3": (128, 1024),
        "fc4": (1024, None),
        "fc5": (1024, None),
    },
}


def write(name: str, convolution: str = "3t", *, divide: int = 8, seed: int = 0) -> State:
    """A state dict as the authors' code saves it, in float64, channels divided by `divide`."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, spread: float) -> Tensor:
        return spread * torch.randn(shape, generator=generator, dtype=torch.float64)

    def uniform(number: int) -> Tensor:
        return 0.3 + torch.rand(number, generator=generator, dtype=torch.float64)

    state: State = {}
    for number, (kernel, full_in, full_out) in sorted(LAYERS[name].items()):
        inputs, outputs = (3 if full_in == 3 else full_in // divide), full_out // divide
        spread = (2 / (inputs * kernel**3)) ** 0.5
        layer, norm = f"conv{number}", f"bn{number}"
        state[f"{layer}.weight"] = normal(outputs, inputs, *[kernel] * 3, spread=spread)
        if kernel > 1 and convolution == "3t":
            state[f"{layer}.first_weight"] = normal(
                outputs, inputs, 1, kernel, kernel, spread=spread
            )
            state[f"{layer}.scale"] = 1 + normal(kernel - 1, outputs, spread=0.2)
            for key in ("rotate", "translate_x", "translate_y"):
                state[f"{layer}.{key}"] = normal(kernel - 1, outputs, spread=0.3)
        state[f"{norm}.weight"], state[f"{norm}.running_var"] = uniform(outputs), uniform(outputs)
        state[f"{norm}.bias"] = normal(outputs, spread=0.3)
        state[f"{norm}.running_mean"] = normal(outputs, spread=0.3)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(1234)
    for layer, (full_in, full) in LINEAR[name].items():
        outputs = CLASSES if full is None else full // divide
        state[f"{layer}.weight"] = normal(outputs, full_in // divide, spread=0.3)
        state[f"{layer}.bias"] = normal(outputs, spread=0.3)
    return state


class Theirs:
    """The authors' networks in evaluation, as functions of a state dict."""

    def __init__(self, state: State) -> None:
        self.state = state

    def filters(self, number: int) -> Tensor:
        prefix = f"conv{number}."
        if prefix + "first_weight" not in self.state:
            return self.state[prefix + "weight"]
        first = self.state[prefix + "first_weight"]
        slices = [first[:, :, 0]]
        for s, r, x, y in zip(
            *(self.state[prefix + k] for k in ("scale", "rotate", "translate_x", "translate_y")),
            strict=True,
        ):
            turn = torch.stack((r.cos(), -r.sin(), r.sin(), r.cos()), -1).view(-1, 2, 2)
            linear = s.view(-1, 1, 1) * turn
            shift = linear @ torch.stack((x, y), -1).unsqueeze(-1)
            grid = F.affine_grid(
                torch.cat((linear, shift), -1), list(slices[-1].shape), align_corners=True
            )
            slices.append(F.grid_sample(slices[-1], grid, align_corners=True))
        return torch.stack(slices, 2)

    def conv(self, number: int, h: Tensor, stride: int = 1) -> Tensor:
        """Convolution and its batch norm."""
        filters, bn = self.filters(number), f"bn{number}."
        h = F.conv3d(h, filters, stride=stride, padding=filters.shape[-1] // 2)
        means, variances, weight, bias = (
            self.state[bn + key] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(h, means, variances, weight, bias, eps=1e-5)

    def linear(self, name: str, h: Tensor) -> Tensor:
        return F.linear(h.flatten(1), self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def resnet18(self, clip: Tensor) -> list[Tensor]:
        h = F.max_pool3d(F.relu(self.conv(1, clip, 2)), 3, 2, 1)
        for first in (2, 4, 7, 9, 12, 14, 17, 19):
            down = first in (7, 12, 17)
            short = self.conv(first - 1, h, 2) if down else h
            h = F.relu(self.conv(first, h, 2 if down else 1))
            h = F.relu(self.conv(first + 1, h) + short)
        return [self.linear("fc", h.mean((2, 3, 4)))]

    def googlenet(self, clip: Tensor) -> list[Tensor]:
        """Logits, first and second auxiliary head; windows shrink to inputs smaller than they."""
        h = F.relu(self.conv(1, clip, 2))
        h = F.max_pool3d(h, (1, 3, 3), (1, 2, 2))
        h = F.relu(self.conv(3, F.relu(self.conv(2, h))))
        h = F.max_pool3d(h, (1, 3, 3), (1, 2, 2))
        heads = []
        for first in INCEPTION:
            if first in (16, 48):
                h = F.max_pool3d(h, [min(3, n) for n in h.shape[2:]], 2)
            if first in (22, 41):  # on what goes into 4b and 4e
                conv, one, two = (28, "fc1", "fc2") if first == 22 else (47, "fc3", "fc4")
                head = F.avg_pool3d(h, [min(5, n) for n in h.shape[2:]], 3)
                head = F.relu(self.linear(one, F.relu(self.conv(conv, head))))
                heads.append(self.linear(two, head))
            branches = (
                self.conv(first, h),
                self.conv(first + 2, F.relu(self.conv(first + 1, h))),
                self.conv(first + 4, F.relu(self.conv(first + 3, h))),
                self.conv(first + 5, F.max_pool3d(h, 3, 1, 1)),
            )
            h = F.relu(torch.cat(branches, 1))
        return [self.linear("fc5", h.mean((2, 3, 4))), *heads]


def ours(network: Any, clip: Tensor) -> list[Tensor]:
    """Logits and, for GoogLeNet, both auxiliary heads, in evaluation."""
    fed: dict[str, Tensor] = {}
    hooks = []
    for head, block in (("aux1", "inception4a"), ("aux2", "inception4d")):
        if hasattr(network, head):

            def record(_module: Any, _args: Any, output: Tensor, head: str = head) -> None:
                fed[head] = output

            hooks.append(getattr(network, block).register_forward_hook(record))
    network.eval()
    outputs = [network(clip)]
    for hook in hooks:
        hook.remove()
    return outputs + [getattr(network, head)(value) for head, value in fed.items()]


def build(name: str, convolution: str = "3t", *, divide: int = 8) -> nn.Module:
    network = build_network(
        name,
        convolution=convolution,
        num_classes=CLASSES,
        clip_shape=CLIP,
        width=1 / divide,
        seed=3,
    )
    return network.double()


def save(content: Any, folder: Path) -> Path:
    path = folder / "epoch_12"  # as theirs: no suffix
    torch.save(content, path)
    return path


@pytest.mark.parametrize("convolution", ["3t", "3d"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_loaded_network_computes_what_theirs_does(
    name: str, convolution: str, tmp_path: Path
) -> None:
    state = write(name, convolution)
    network = build(name, convolution)
    load_authors_checkpoint(save(state, tmp_path), network)
    clip = torch.randn(2, 3, *CLIP, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        expected = getattr(Theirs(state), name)(clip)
        found = ours(network, clip)
    assert len(found) == len(expected) == (3 if name == "googlenet" else 1)
    for mine, theirs in zip(found, expected, strict=True):
        assert float(theirs.std()) > 1e-3
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "layers", "factorised"), [("resnet18", 20, 17), ("googlenet", 59, 20)]
)
def test_every_number_lands_in_one_place(
    name: str, layers: int, factorised: int, tmp_path: Path
) -> None:
    state = write(name)
    assert len([key for key in state if key.endswith(".running_mean")]) == layers
    assert len([key for key in state if key.endswith(".first_weight")]) == factorised
    network = build(name)
    load_authors_checkpoint(save(state, tmp_path), network)
    loaded = network.state_dict()
    stale = {f"conv{n}.weight" for n, (kernel, *_) in LAYERS[name].items() if kernel > 1}
    assert len(loaded) == len(state) - len(stale)
    sums = sorted(float(value.double().sum()) for value in loaded.values())
    expected = sorted(float(v.double().sum()) for k, v in state.items() if k not in stale)
    assert sums == pytest.approx(expected, rel=1e-12)
    assert len([m for m in network.modules() if isinstance(m, Conv3T)]) == factorised


def test_a_full_size_googlenet_takes_the_authors_shapes(tmp_path: Path) -> None:
    """768 inputs of the auxiliary heads at the paper's clip size."""
    state = {key: value.float() for key, value in write("googlenet", divide=1).items()}
    for layer in ("fc1", "fc3"):
        state[f"{layer}.weight"] = torch.ones(1024, 768)
    network = build_network("googlenet", num_classes=CLASSES, clip_shape=(30, 150, 224), seed=0)
    load_authors_checkpoint(save(state, tmp_path), network)
    assert torch.equal(network.state_dict()["fc.weight"], state["fc5.weight"])
    pooled = network.eval()(torch.zeros(1, 3, 7, 32, 32))
    assert bool(pooled.isfinite().all())


def _transposed(state: State) -> None:
    for key in list(state):
        if key.rpartition(".")[2] in ("scale", "rotate"):
            state[key] = state[key].T.contiguous()
        elif key.endswith("translate_x"):
            state[key] = state[key].T.reshape(1, -1, state[key].shape[0], 1)
        elif key.endswith("translate_y"):
            state[key] = state[key].unsqueeze(1)


def _flat_first_slices(state: State) -> None:
    for key in list(state):
        if key.endswith("first_weight"):
            state[key] = state[key].squeeze(2)


def _without_counts(state: State) -> None:
    for key in list(state):
        if key.endswith("num_batches_tracked"):
            del state[key]


def _without_stale_filters(state: State) -> None:
    for number, (kernel, *_) in RESNET18.items():
        if kernel > 1:
            del state[f"conv{number}.weight"]


def _as_parameters(state: State) -> None:
    for key, value in state.items():
        if value.is_floating_point():
            state[key] = nn.Parameter(value)


@pytest.mark.parametrize(
    "change",
    [_transposed, _flat_first_slices, _without_counts, _without_stale_filters, _as_parameters],
    ids=lambda change: change.__name__.strip("_"),
)
def test_harmless_differences_are_taken(change: Callable[[State], None], tmp_path: Path) -> None:
    state = write("resnet18")
    plain, changed = build("resnet18"), build("resnet18")
    load_authors_checkpoint(save(state, tmp_path), plain)
    change(state)
    load_authors_checkpoint(save(state, tmp_path), changed)
    for key, value in plain.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(changed.state_dict()[key], value), key


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 12, "best": 0.5},
        lambda state: {"model_state_dict": state},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    ],
    ids=["state_dict", "model_state_dict", "module", "both"],
)
def test_wrapped_state_dicts_are_taken(wrap: Callable[[State], Any], tmp_path: Path) -> None:
    state = write("resnet18")
    network = build("resnet18")
    load_authors_checkpoint(save(wrap(state), tmp_path), network)
    assert torch.equal(network.state_dict()["fc.weight"], state["fc.weight"])


def test_precision_and_gradients_are_the_networks_own(tmp_path: Path) -> None:
    state = write("resnet18")
    network = build("resnet18").float()
    load_authors_checkpoint(str(save(state, tmp_path)), network)
    assert all(p.dtype == torch.float32 and p.requires_grad for p in network.parameters())
    assert network.training


# ------------------------------------------------------------------------------------ refusals


def refused(path: Path, network: nn.Module, match: str) -> InputError:
    """The error, after checking that the network is as it was."""
    before = {key: value.clone() for key, value in network.state_dict().items()}
    eps = [m.eps for m in network.modules() if isinstance(m, nn.BatchNorm3d)]
    with pytest.raises(InputError, match=match) as caught:
        load_authors_checkpoint(path, network)
    assert caught.value.where == str(path)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert eps == [m.eps for m in network.modules() if isinstance(m, nn.BatchNorm3d)]
    return caught.value


def _drop(key: str) -> Callable[[State], Any]:
    return lambda state: state.pop(key)


def _put(key: str, *shape: int) -> Callable[[State], Any]:
    return lambda state: state.update({key: torch.zeros(shape, dtype=torch.float64)})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_drop("conv20.first_weight"), "no 'conv20.first_weight'"),
        (_drop("conv6.weight"), "no 'conv6.weight'"),
        (_drop("conv9.rotate"), "no 'conv9.rotate'"),
        (_drop("bn3.running_var"), "no 'bn3.running_var'"),
        (_drop("fc.bias"), "no 'fc.bias'"),
        (_put("conv21.weight", 3), "'conv21.weight' left over"),
        (_put("conv6.first_weight", 3), "'conv6.first_weight' left over"),
        (_put("module.conv1.scale", 6, 8), "'module.conv1.scale' left over"),
        (_put("conv2.scale", 3, 8), r"'conv2.scale' of shape \(3, 8\) for \(2, 8\)"),
        (_put("conv2.scale", 16), r"'conv2.scale' of shape \(16,\) for \(2, 8\)"),
        (_put("conv2.scale", 2, 2, 4), "'conv2.scale' of shape"),
        (_put("conv2.first_weight", 8, 8, 3, 3, 3), "'conv2.first_weight' of shape"),
        (_put("conv2.first_weight", 8, 1, 8, 3, 3), "'conv2.first_weight' of shape"),
        (_put("fc.weight", 7, 64), r"'fc.weight' of shape \(7, 64\) for \(5, 64\)"),
        (_put("fc.weight", 64, 5), "'fc.weight' of shape"),
    ],
)
def test_entries_that_do_not_fit_are_refused(
    change: Callable[[State], Any], match: str, tmp_path: Path
) -> None:
    state = write("resnet18")
    change(state)
    error = refused(save(state, tmp_path), build("resnet18"), match)
    assert "more" not in error.found
    assert "number of classes" in error.remedy


def test_a_shape_that_fits_in_two_ways_is_refused(tmp_path: Path) -> None:
    """Two transitions of two channels: an extra axis leaves open which is which."""
    state, network = write("resnet18", divide=32), build("resnet18", divide=32)
    load_authors_checkpoint(save(state, tmp_path), network)
    state["conv2.scale"] = state["conv2.scale"].unsqueeze(0)
    refused(save(state, tmp_path), network, r"'conv2.scale' of shape \(1, 2, 2\)")


def test_many_problems_are_summed_up(tmp_path: Path) -> None:
    error = refused(save(write("googlenet"), tmp_path), build("resnet18"), "and [0-9]+ more")
    assert error.found.count(";") == 5
    assert "the 190 entries of ResNet" in error.expected  # 17 x 5 + 3 + 20 x 5 + 2


@pytest.mark.parametrize(("stored", "built"), [("3t", "3d"), ("3d", "3t")])
def test_the_other_convolution_is_refused(stored: str, built: str, tmp_path: Path) -> None:
    path = save(write("resnet18", stored), tmp_path)
    error = refused(path, build("resnet18", built), "first_weight")
    assert f'convolution="{stored}"' in error.remedy


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = save(write("resnet18"), tmp_path)
    error = refused(path, nn.Sequential(Conv3T(3, 4, 3)), "none of the authors'")
    assert "resnet18, googlenet" in error.expected


class Explosive:
    """An object whose unpickling is seen."""

    went_off: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Explosive, "went_off", True)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([torch.zeros(2)], "list"),
        (torch.zeros(2), "Tensor"),
        (3, "int"),
        ({}, "no tensors"),
        ({"state_dict": {}}, "no tensors"),
        ({"conv1.first_weight": 3.0}, "'conv1.first_weight': a float"),
        ({1: torch.zeros(2)}, "1: a Tensor"),
        ({"conv1.weight": Explosive()}, "which could run code"),
        (Conv3T(3, 4, 3), "which could run code"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_files_that_hold_no_state_dict_are_refused(
    content: Any, match: str, tmp_path: Path
) -> None:
    refused(save(content, tmp_path), build("resnet18"), match)
    assert not Explosive.went_off


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_files_that_cannot_be_read_are_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "epoch_12"
    if content is not None:
        path.write_bytes(content)
    refused(
        path,
        build("resnet18"),
        "save model.state_dict"
        if content
        else "nothing at this path"
        if content is None
        else "Error",
    )


def test_the_public_name() -> None:
    assert threetconv.load_authors_checkpoint is load_authors_checkpoint
    assert "load_authors_checkpoint" in threetconv.__all__
