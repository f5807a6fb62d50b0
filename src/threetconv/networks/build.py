"""The study's networks, by name: torchvision's 2D networks, thinned and lifted to video."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from threetconv.errors import InputError, look_up
from threetconv.layer import symmetric_time as symmetric
from threetconv.layer.tracing import fx_leaf
from threetconv.networks.lift import lift, place_symmetrically
from threetconv.networks.lift_convolutions import CONVOLUTIONS
from threetconv.networks.lift_forward import FrameForward
from threetconv.networks.lift_layers import MaxPool3d
from threetconv.networks.lift_pooling import max_pool
from threetconv.networks.registry import CATALOGUE, lift_remedy
from threetconv.networks.trace import check_clip_shape
from threetconv.networks.weight_files import read_state
from threetconv.networks.width import thin

__all__ = ["NETWORKS", "Network", "build_2d", "build_network", "load_2d_weights"]

ClipShape = tuple[int, int, int]
CHECKED_CLIP = (15, 32, 40)  # the shortest that torchvision's GoogLeNet takes
FRESH_NORM_EPS = 1e-5  # torch's default; torchvision's GoogLeNet has 1e-3
FILE_REMEDY = (
    "save model.state_dict() to it again; one below results/weights_2d is made or fetched anew by "
    "its workflow once it is deleted"
)


@dataclass(frozen=True)
class Network:
    """How one network is made.

    Attributes:
        make: num_classes -> the 2D network, randomly initialised.
        finish: (video network, num_classes, clip_shape) -> None: replaces in place what lifting
            alone does not give (pooling, auxiliary heads).
    """

    make: Callable[[int], nn.Module]
    finish: Callable[[Any, int, ClipShape], None]


def build_network(
    name: str,
    *,
    convolution: str = "3t",
    num_classes: int,
    clip_shape: ClipShape,
    width: float = 1.0,
    weights: Mapping[str, Tensor] | str | Path | None = None,
    carry: str = "convolutions",
    seed: int | None = None,
    symmetric_time: bool = False,
    verify: bool = True,
) -> nn.Module:
    """A video network of the study, built by lifting torchvision's 2D one.

    Args:
        name: "resnet18" or "googlenet", or another registered name.
        convolution: "3t", "3d", "2d" or "r2plus1d", see `threetconv.lift`.
        num_classes: size of the classifier.
        clip_shape: (frames, height, width); GoogLeNet's auxiliary heads are sized from it.
        width: factor on every channel count, 1.0 for the paper's networks.
        weights: 2D weights to carry over (a state dict, or a .safetensors or .pt file), or None to
            start from scratch.
        carry: which of them to carry over, see `threetconv.lift`: "convolutions", as the paper did,
            or "all".
        seed: seeds the initialisation without touching torch's global generator; None draws from
            the global generator.
        symmetric_time: as for `threetconv.lift`; GoogLeNet's auxiliary heads then do not tell a
            clip from its reverse by their Linear layers either. The paper: False.
        verify: compare the lifted network with the 2D one (`threetconv.verify_lift`), once a
            process and network.

    Returns:
        The network in training mode, for clips (N, 3, T, H, W). GoogLeNet returns
        (logits, aux_logits2, aux_logits1) in training and logits in evaluation.

    Raises:
        InputError: unknown name, no clip shape, a clip shorter than the deepest filter, weights
            that do not fit.
    """
    recipe = look_up(NETWORKS, name, what="network", remedy=lift_remedy(name))
    look_up(CONVOLUTIONS, convolution, what="convolution")
    check_clip_shape(clip_shape)
    depth = CATALOGUE[name].depth
    if clip_shape[0] < depth:
        raise InputError(
            f"clip of {clip_shape[0]} frames for {name}",
            found=f"fewer frames than the depth {depth} of its first filter",
            expected=f"at least {depth} frames",
            remedy="raise the number of frames in the clip shape",
        )
    if verify:
        _check_lift(name, convolution)
    # one seed covers everything random: the 2D network, the lifted layers and the new heads
    with _seeded(seed):
        model = build_2d(name, num_classes=num_classes, width=width)
        if weights is not None:
            load_2d_weights(model, weights)
        carry = "nothing" if weights is None else carry
        network = lift(model, convolution, carry=carry)
        recipe.finish(network, num_classes, clip_shape)
    if symmetric_time:
        place_symmetrically(network)
    if carry != "all":  # norms start anew, and the authors' code gave them torch's default eps
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.eps = FRESH_NORM_EPS
    return network.train()


@functools.cache
def _check_lift(name: str, convolution: str) -> None:
    """`threetconv.verify_lift` of a network, once a process.

    At an eighth of its width, which runs the same code: 0.07 s of CPU for ResNet18 and 0.15 s for
    GoogLeNet, where the full networks take 0.4 to 0.6 s.
    """
    # networks are also built on the meta device, which computes nothing
    with torch.device("cpu"), _seeded(0):
        lift(build_2d(name, num_classes=2, width=0.125, seed=0), convolution, check=CHECKED_CLIP)


def build_2d(
    name: str, *, num_classes: int, width: float = 1.0, seed: int | None = None
) -> nn.Module:
    """The 2D network that `build_network` lifts, randomly initialised."""
    recipe = look_up(NETWORKS, name, what="network", remedy=lift_remedy(name))
    if num_classes < 1:
        raise InputError(
            "num_classes",
            found=str(num_classes),
            expected="at least 1",
            remedy="give the number of classes that the network tells apart",
        )
    with _seeded(seed):
        return thin(recipe.make(num_classes), width, num_classes=num_classes)


def load_2d_weights(model: nn.Module, weights: Mapping[str, Tensor] | str | Path) -> None:
    """Load a 2D state dict; a classifier of another size keeps its present weights.

    Batch norm's `num_batches_tracked` may be missing, as in files from before torch 0.4.1 (some of
    torchvision's own); nothing here reads it.

    Raises:
        InputError: when the file cannot be read, or any other entry is missing or of another shape.
    """
    where = str(weights) if isinstance(weights, str | Path) else "2D weights"
    state = (
        read_state(weights, remedy=FILE_REMEDY)
        if isinstance(weights, str | Path)
        else dict(weights)
    )
    own = model.state_dict()
    linear = {n for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    fitting: dict[str, Tensor] = {}
    for key, value in own.items():
        if key in state and state[key].shape == value.shape:
            fitting[key] = state[key]
        # a Linear layer that does not fit is a classifier for other classes; anything else is an
        # error, since `strict=False` below would pass over it
        elif key.rpartition(".")[0] not in linear and not key.endswith(".num_batches_tracked"):
            shape = tuple(state[key].shape) if key in state else "no such entry"
            raise InputError(
                where,
                found=f"{key}: {shape}",
                expected=f"{key}: {tuple(value.shape)}",
                remedy="use weights of the same 2D network at the same width",
            )
    model.load_state_dict(fitting, strict=False)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    # networks are built on the CPU: `torch.manual_seed` would seed GPUs as well
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class FittingPool3d(nn.Module):
    """Max or average pooling whose window shrinks to the input where the input is smaller.

    At the paper's clip sizes this is plain pooling. Small clips, which the paper's windows do not
    fit into late in the network, can pass too. With `frames` every frame is pooled by itself.
    """

    symmetric_time = False  # `threetconv.layer.symmetric_time`

    def __init__(self, kind: str, kernel_size: int, stride: int, *, frames: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.kernel_size = (1 if frames else kernel_size, kernel_size, kernel_size)
        self.stride = (1 if frames else stride, stride, stride)

    def window(self, size: tuple[int, ...]) -> list[int]:
        """The window for an input of (T, H, W)."""
        return [min(k, n) for k, n in zip(self.kernel_size, size, strict=True)]

    def output_size(self, size: tuple[int, ...]) -> list[int]:
        """(T', H', W') for an input of (T, H, W)."""
        # as the pooling itself, which has no padding and drops an incomplete last window
        sizes = zip(size, self.window(size), self.stride, strict=True)
        return [(n - k) // step + 1 for n, k, step in sizes]

    @fx_leaf
    def forward(self, x: Tensor) -> Tensor:
        pool: Any = max_pool if self.kind == "max" else F.avg_pool3d
        window = self.window(tuple(x.shape[2:]))
        if self.symmetric_time:
            return symmetric.pool(
                lambda clip: pool(clip, window, self.stride), x, window, self.stride
            )
        return pool(x, window, self.stride)

    def extra_repr(self) -> str:
        return f"{self.kind}, kernel_size={self.kernel_size}, stride={self.stride}"


class AuxiliaryHead(nn.Module):
    """GoogLeNet's auxiliary classifier for video: average 5x5x5, stride 3 -> 1x1x1 -> two layers.

    Args:
        conv: the lifted 1x1x1 convolution with its batch norm.
        channels: its output channels.
        size: (T, H, W) of the head's input.
        hidden: width of the hidden layer, 1024 in the paper.
        num_classes: number of classes.
        dropout: 0.7 in the paper.
        frames: whether it sees single frames; T of `size` does not matter then.
    """

    symmetric_time = False

    def __init__(  # noqa: PLR0917
        self,
        conv: nn.Module,
        channels: int,
        size: tuple[int, ...],
        hidden: int,
        num_classes: int,
        dropout: float,
        frames: bool,
    ) -> None:
        super().__init__()
        self.pool = FittingPool3d("average", 5, 3, frames=frames)
        self.conv = conv
        # the pooled size, and with it the head, depends on the clip: a checkpoint fits one shape
        pooled = self.pool.output_size(size)
        self.fc1 = nn.Linear(channels * math.prod(pooled[frames:]), hidden)
        self.fc2 = nn.Linear(hidden, num_classes)
        self.dropout = nn.Dropout(dropout)

    @fx_leaf
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.pool(x))
        # `fc1` has weights of its own for every moment that is left; single frames are not moments
        if self.symmetric_time and self.pool.kernel_size[0] > 1:
            x = (x + x.flip(2)) / 2
        return self.fc2(self.dropout(F.relu(self.fc1(x.flatten(1)))))


def _make_resnet18(num_classes: int) -> nn.Module:
    return torchvision.models.resnet18(num_classes=num_classes)


def _finish_resnet18(network: Any, num_classes: int, clip_shape: ClipShape) -> None:
    """Nothing to do: the lifted network is already the paper's."""


def _make_googlenet(num_classes: int) -> nn.Module:
    # torchvision warns unless init_weights is given; the dropouts are those of the GoogLeNet paper
    # (Szegedy et al. 2015), where torchvision's own default is 0.2 before the classifier
    return torchvision.models.googlenet(
        num_classes=num_classes, aux_logits=True, init_weights=True, dropout=0.4, dropout_aux=0.7
    )


def _finish_googlenet(network: Any, num_classes: int, clip_shape: ClipShape) -> None:
    """The paper's pooling and auxiliary heads.

    The first two max-pools do not pool time; the last two are 3x3x3. All have stride 2 and no
    padding, and drop an incomplete last window (torchvision's have `ceil_mode`). The heads average
    5x5x5 windows with stride 3, where torchvision's pool to 4x4. Source: the authors' published
    code. A network of single frames has the same windows without extent in time.
    """
    frames = isinstance(network, FrameForward)
    _pool_as_the_authors(network, frames)
    lifted = {name: getattr(network, name) for name in ("aux1", "aux2")}
    sizes = _head_inputs(clip_shape, frames)
    for name, head in lifted.items():
        setattr(
            network,
            name,
            AuxiliaryHead(
                head.conv,
                head.conv.conv.out_channels,
                sizes[name],
                head.fc1.out_features,
                num_classes,
                head.dropout.p,
                frames,
            ),
        )


def _pool_as_the_authors(network: Any, frames: bool) -> None:
    network.maxpool1 = MaxPool3d((1, 3, 3), stride=(1, 2, 2))
    network.maxpool2 = MaxPool3d((1, 3, 3), stride=(1, 2, 2))
    network.maxpool3 = FittingPool3d("max", 3, 2, frames=frames)
    network.maxpool4 = FittingPool3d("max", 3, 2, frames=frames)


@functools.cache  # a job builds its network for every run that it measures
def _head_inputs(clip_shape: ClipShape, frames: bool) -> dict[str, tuple[int, ...]]:
    """Size (T, H, W) of what each auxiliary head of GoogLeNet gets, for a clip of a given shape."""
    # a dry run on the meta device: shapes only, no memory
    with torch.device("meta"):
        network: Any = lift(_make_googlenet(2), "2d" if frames else "3d").eval()
    _pool_as_the_authors(network, frames)
    network.aux1 = network.aux2 = None
    sizes: dict[str, tuple[int, ...]] = {}
    for head, layer in (("aux1", "inception4a"), ("aux2", "inception4d")):
        # head=head binds the present one; a closure would see the last one
        def record(_module: nn.Module, _args: Any, output: Tensor, head: str = head) -> None:
            sizes[head] = tuple(output.shape[2:])

        network.get_submodule(layer).register_forward_hook(record)
    with torch.no_grad():
        network(torch.zeros(1, 3, *clip_shape, device="meta"))
    return sizes


NETWORKS: dict[str, Network] = {
    "resnet18": Network(_make_resnet18, _finish_resnet18),
    "googlenet": Network(_make_googlenet, _finish_googlenet),
}
