"""Read checkpoints written by the paper's authors' own code.

Their networks number layers in order of declaration: ``conv1`` with ``bn1``, ``conv2`` with
``bn2``, and so on. This is torchvision's order with two exceptions: a downsampling convolution
comes before its block's two, and GoogLeNet's auxiliary heads come among the inception blocks. A 3T
layer is stored as ``first_weight`` (out, in, 1, H, W) and ``scale``, ``rotate``, ``translate_x``,
``translate_y`` (D - 1, out). Its ``weight`` is the 3D filter built in the last forward pass, which
may be older than the other five, and is ignored.

Source: https://github.com/redsphinx/3tconv, models/conv3t.py, resnet18.py and googlenet.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.networks.weight_files import read_state

__all__ = ["load_authors_checkpoint"]

BATCH_NORM_EPS = 1e-5  # torch's own, which the authors kept; torchvision's GoogLeNet has 1e-3
SHOWN = 5  # problems listed in a message

Pairs = Iterator[tuple[str, str]]  # (name of a layer in the file, its name here)


def load_authors_checkpoint(path: str | Path, network: nn.Module) -> None:
    """Load a state dict of the authors' code into one of our networks, in place.

    Settings that state dicts do not hold are adjusted too: batch norm's eps becomes 1e-5, and
    max-pools drop an incomplete last window. The network then computes what theirs did.

    Args:
        path: a file as `threetconv.networks.weight_files.read_state` takes.
        network: from `threetconv.build_network`, "resnet18" or "googlenet", "3t" or "3d", with the
            classes and (for GoogLeNet's auxiliary heads) the clip shape of the checkpoint.

    Raises:
        InputError: the network is neither of the two, the file cannot be read, or an entry is
            missing, left over or of another shape. The network is then unchanged.
    """
    layout = _layout(path, network)
    own = network.state_dict()
    stored = read_state(
        path, remedy="save model.state_dict(), not the model, with the code that made it"
    )
    entries = dict(_entries(network, layout))  # our name -> theirs
    # built filters of 3T layers; other layers' "weight" is among the entries and not ignored
    ignored = {f"{layer}.weight" for layer in layout}
    loaded: dict[str, Tensor] = {}
    problems: list[str] = []
    for name, theirs in entries.items():
        if theirs not in stored:
            if name.endswith(".num_batches_tracked"):  # nothing reads it, and old files lack it
                loaded[name] = own[name]
            else:
                problems.append(f"no {theirs!r}")
            continue
        value = _fit(stored[theirs], name.rpartition(".")[2], tuple(own[name].shape))
        if value is None:
            found, wanted = tuple(stored[theirs].shape), tuple(own[name].shape)
            problems.append(f"{theirs!r} of shape {found} for {wanted}")
        else:
            loaded[name] = value
    left = [key for key in stored if key not in ignored and key not in entries.values()]
    problems += [f"{key!r} left over" for key in left]
    if problems:
        more = len(problems) - SHOWN
        # the likeliest cause is a network of the wrong kind: name the file's in the remedy
        convolution = "3t" if any(key.endswith(".first_weight") for key in stored) else "3d"
        raise InputError(
            path,
            found="; ".join(problems[:SHOWN]) + (f"; and {more} more" if more > 0 else ""),
            expected=f"the {len(entries)} entries of {type(network).__name__}, their names and "
            "shapes as the authors' code writes them",
            remedy=f'build the network with convolution="{convolution}" and the number of classes, '
            "the width and the clip shape of the checkpoint",
        )
    network.load_state_dict(loaded)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eps = BATCH_NORM_EPS
        elif isinstance(module, nn.MaxPool3d):
            module.ceil_mode = False


def _resnet18() -> Pairs:
    yield "conv1", "conv1"
    yield "bn1", "bn1"
    # the two convolutions of every block in turn; stages 2 to 4 downsample in their first block
    number = 1
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            layers = [("conv1", "bn1"), ("conv2", "bn2")]
            if stage > 1 and block == 0:
                layers.insert(0, ("downsample.0", "downsample.1"))
            for convolution, norm in layers:
                number += 1
                yield f"conv{number}", f"layer{stage}.{block}.{convolution}"
                yield f"bn{number}", f"layer{stage}.{block}.{norm}"
    yield "fc", "fc"


def _googlenet() -> Pairs:
    layers = ["conv1", "conv2", "conv3"]
    # branches 2 and 3: a 1 x 1 reduction, then a 3 x 3 convolution; branch 4: pooling first
    branches = ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
    heads = {"4b": "aux1.conv", "4e": "aux2.conv"}  # declared after these, but fed by 4a and 4d
    for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        layers += [f"inception{block}.{branch}" for branch in branches]
        if block in heads:
            layers.append(heads[block])
    for number, layer in enumerate(layers, start=1):
        yield f"conv{number}", f"{layer}.conv"
        yield f"bn{number}", f"{layer}.bn"
    for number, layer in enumerate(("aux1.fc1", "aux1.fc2", "aux2.fc1", "aux2.fc2", "fc"), start=1):
        yield f"fc{number}", layer


LAYOUTS: dict[str, Callable[[], Pairs]] = {"resnet18": _resnet18, "googlenet": _googlenet}


def _layout(path: str | Path, network: nn.Module) -> dict[str, str]:
    """Name in the file of every layer that has parameters -> its name here."""
    # recognised by layer names: a network holds no record of how it was built
    holders = {key.rpartition(".")[0] for key in network.state_dict()}
    for pairs in LAYOUTS.values():
        layout = dict(pairs())
        if set(layout.values()) == holders:
            return layout
    raise InputError(
        path,
        found=f"a {type(network).__name__} to load it into, whose layers are none of the authors'",
        expected=f"a network of the kinds {', '.join(LAYOUTS)}",
        remedy="build the network with threetconv.build_network",
    )


def _entries(network: nn.Module, layout: Mapping[str, str]) -> Pairs:
    """(our name, their name) of every entry of the state dict."""
    for theirs, ours in layout.items():
        layer = network.get_submodule(ours)
        for key in layer.state_dict():
            first = isinstance(layer, Conv3T) and key == "weight"
            yield f"{ours}.{key}", f"{theirs}.{'first_weight' if first else key}"


def _fit(value: Tensor, kind: str, shape: tuple[int, ...]) -> Tensor | None:
    """`value` in `shape`, or None if it does not fit unambiguously.

    A first slice may keep its depth axis of 1. Temporal parameters may be transposed or have extra
    axes of 1, unless D - 1 equals the number of channels: a transposed square looks like itself.
    """
    if tuple(value.shape) == shape:
        return value
    if kind == "weight" and len(shape) == 4 and tuple(value.shape) == (*shape[:2], 1, *shape[2:]):
        return value.squeeze(2)
    if kind in TEMPORAL_PARAMETERS and shape[0] != shape[1]:
        axes = tuple(n for n in value.shape if n != 1)
        wanted = tuple(n for n in shape if n != 1)
        if axes == wanted:
            return value.reshape(shape)
        if axes == wanted[::-1]:
            return value.squeeze().mT.reshape(shape)
    return None
