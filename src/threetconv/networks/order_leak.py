"""Can a network tell a clip from its reverse without any filter that changes over time?

It can where windows with a stride stand unlike from both ends of a clip; see
`threetconv.layer.time_reach`. Accuracy on motions and their reverses is then no sign of filters
that have learned motion.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from threetconv.layer.conv3t import Conv3T
from threetconv.layer.identity import set_identity
from threetconv.layer.time_reach import mirror_shift, tells_order
from threetconv.networks.build import FittingPool3d, build_network
from threetconv.networks.trace import (
    check_clip_shape,
    check_module,
    clip_channels,
    windows_in_time,
)

__all__ = ["leak_free_lengths", "leak_table", "order_leak"]

Module = Conv3T | nn.Conv3d | nn.MaxPool3d | nn.AvgPool3d | FittingPool3d
COLUMNS = {
    "stage": "int32",
    "layer": "str",
    "kind": "str",
    "frames": "int32",
    "kernel": "int32",
    "stride": "int32",
    "padding_before": "int32",
    "padding_after": "int32",
    "remainder": "int32",
    "symmetric": "bool",
    "leaks": "bool",
    "difference": "float64",
}


class Stage(NamedTuple):
    """One convolution, pooling or padding of a forward pass that may tell a clip from its reverse.

    Attributes: see `order_leak`.
    """

    layer: str
    kind: str
    frames: int
    kernel: int
    stride: int
    padding_before: int
    padding_after: int
    remainder: int
    symmetric: bool
    leaks: bool


def order_leak(
    network: nn.Module,
    clip_shape: tuple[int, int, int],
    *,
    measure: bool = True,
    clips: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Where a network tells a clip from its reverse without any filter that changes over time.

    Filters are made constant in time: transforms of 3T layers the identity, every other filter its
    mean over depth. Then random clips and their reverses pass through a copy of the network, in
    evaluation mode and float64. Batch norm divides by the root mean square of its input: a new
    network's own statistics may let everything vanish but the last bias, those of a trained one
    belong to other filters, and subtracting the means of a batch enlarges what is left of a leak,
    and rounding, to the size of what differs between clips.

    Args:
        network: any video network for clips (N, C, T, H, W); it is not changed.
        clip_shape: (frames, height, width).
        measure: False computes shapes only.
        clips: number of random clips.
        seed: of the random clips.

    Returns:
        A row per stage in forward order that has a stride in time or windows that are not symmetric
        (of a convolution, pooling or padding, as a layer or called as a function), and a last one
        for the whole network, `layer` "":

        - `stage` (int32, from 0), `layer` (str): the module, or the innermost around the call;
        - `kind` (str): "convolution", "max pooling", "average pooling", "padding" or "network";
        - `frames` in, `kernel` (extent with dilation), `stride`, `padding_before`,
          `padding_after`: int32, all in time;
        - `remainder` (int32): frames by which the windows miss their mirror image
          (`threetconv.layer.time_reach.mirror_shift`);
        - `symmetric` (bool): whether `symmetric_time` corrects that (a pooling called as a function
          then has a row for either placement);
        - `leaks` (bool), exact, from sizes: whether the stage tells a clip from its reverse; for
          the network, whether a stage does;
        - `difference` (float64): norm of the output for the clips minus that for the reversed ones
          (in forward order), over the norm of the former. It holds what earlier stages leak. NaN
          without `measure`. 1e-12 and less is rounding.

    Raises:
        InputError: no module, or no clip shape.
        RuntimeError: torch's own, for clips too small for the network.

    Note:
        `leaks` knows the stages above. A network may tell order by other means (positions that it
        adds, recurrent layers, a Linear layer over several moments): only `difference` shows that.

    Example:
        >>> network = build_network("resnet18", num_classes=27, clip_shape=(30, 150, 224))
        >>> order_leak(network, (30, 150, 224), measure=False)["leaks"].tolist()[-1]
        True
    """
    check_module(network)
    check_clip_shape(clip_shape)
    copied = copy.deepcopy(network).eval()
    if not measure:
        stages, differences, whole = _stages(copied, clip_shape), None, float("nan")
    else:
        copied = copied.to("cpu", torch.float64)
        stages, differences, whole = _measured(copied, clip_shape, clips, seed)
    rows = [
        (i, *stage, differences[i] if differences else float("nan"))
        for i, stage in enumerate(stages)
    ]
    frames, leaks = clip_shape[0], any(stage.leaks for stage in stages)
    rows.append((len(stages), "", "network", frames, 0, 0, 0, 0, 0, False, leaks, whole))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def leak_free_lengths(
    network: nn.Module | Callable[[int], nn.Module],
    near: int = 16,
    *,
    size: tuple[int, int] = (112, 112),
    count: int = 3,
    within: int = 64,
) -> list[int]:
    """The next lengths of clips at which no stage of a network tells a clip from its reverse.

    Args:
        network: the network, or a function that builds it for a number of frames.
        near: the search begins at this number of frames.
        size: (height, width) of the clips.
        count: how many lengths are sought.
        within: how many lengths are tried.

    Returns:
        At most `count` lengths, ascending; none where no length serves all stages.

    Raises:
        RuntimeError: torch's own, for clips too small for the network.
    """
    found: list[int] = []
    shared = copy.deepcopy(network).eval() if isinstance(network, nn.Module) else None
    for frames in range(near, near + within):
        its = shared if shared is not None else network(frames).eval()
        if not any(stage.leaks for stage in _stages(its, (frames, *size))):
            found.append(frames)
        if len(found) == count:
            break
    return found


def leak_table(
    cells: Sequence[Mapping[str, Any]], *, width: float, symmetric_time: bool
) -> pd.DataFrame:
    """`order_leak` of networks of a study, freshly built.

    Args:
        cells: `network`, `dataset` (a name), `convolution` and `clip_shape` of each.
        width, symmetric_time: as for `threetconv.networks.build.build_network`.

    Returns:
        The tables one below another, with `network`, `dataset` and `convolution` before them.
    """
    tables = []
    for cell in cells:
        network = build_network(
            cell["network"],
            convolution=cell["convolution"],
            num_classes=10,
            clip_shape=tuple(cell["clip_shape"]),
            width=width,
            seed=0,
            symmetric_time=symmetric_time,
        )
        table = order_leak(network, tuple(cell["clip_shape"]))
        for place, key in enumerate(("network", "dataset", "convolution")):
            table.insert(place, key, cell[key])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _stages(network: nn.Module, clip_shape: tuple[int, int, int]) -> list[Stage]:
    """The stages, by a forward pass on the meta device; moves the network there."""
    network = network.to("meta")
    dtype = next((p.dtype for p in network.parameters()), torch.float32)
    with torch.no_grad(), _Stages(network) as seen:
        network(torch.zeros(1, clip_channels(network), *clip_shape, device="meta", dtype=dtype))
    return seen.stages


def _measured(
    network: nn.Module, clip_shape: tuple[int, int, int], clips: int, seed: int
) -> tuple[list[Stage], list[float], float]:
    """The stages, the difference after each, and that of the network's output."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(_normalise_size)
        elif isinstance(module, Conv3T):
            set_identity(module)
    generator = torch.Generator().manual_seed(seed)
    # spots that come and go: clips of noise would all look alike behind a few poolings
    shape = (clips, clip_channels(network), 4, 4, 4)
    spots = torch.randn(shape, generator=generator, dtype=torch.float64)
    forward = F.interpolate(spots, clip_shape, mode="trilinear", align_corners=True)
    with torch.no_grad(), _Stages(network, differences=True) as seen:
        # in one batch, so that batch norm divides both by the same numbers
        output = network(torch.cat((forward, forward.flip(2))))
    return seen.stages, seen.differences, max(map(_difference, _tensors(output)))


def _normalise_size(norm: Any, inputs: tuple[Tensor, ...]) -> None:
    """Let batch norm's statistics be mean 0 and the mean square of its input per channel."""
    axes = [axis for axis in range(inputs[0].ndim) if axis != 1]
    norm.running_var = inputs[0].square().mean(axes)
    norm.running_mean = torch.zeros_like(norm.running_var)


def _difference(output: Tensor) -> float:
    """Of the second half of a batch from the first, relative; with a time axis, reversed again."""
    forward, backward = output.chunk(2)
    if output.ndim == 5:
        backward = backward.flip(2)
    norm = forward.norm()
    return float((forward - backward).norm() / norm) if norm else 0.0


class _Stages(TorchDispatchMode):
    """Records the stages of a forward pass, and makes filters constant in time.

    Layers are seen by hooks, since they may pad or call twice; calls outside such layers are seen
    as ATen operators.
    """

    def __init__(self, network: nn.Module, differences: bool = False) -> None:
        super().__init__()
        self.stages: list[Stage] = []
        self.differences: list[float] = []
        self._measure = differences
        self._names = {module: name for name, module in network.named_modules()}
        self._inside: list[nn.Module] = []
        self._hooks: list[Any] = []
        for module in self._names:
            self._hooks.append(module.register_forward_pre_hook(self._enter))
            self._hooks.append(module.register_forward_hook(self._leave))

    def __exit__(self, *error: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*error)

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        self._inside.append(module)

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._inside.pop()
        # a layer inside another (a pooling within a pooling) is part of that one
        if isinstance(module, Module) and not any(isinstance(m, Module) for m in self._inside):
            self._add(self._names[module], *_windows(module, inputs[0]), output)

    def _add(
        self, layer: str, kind: str, windows: tuple[Any, ...], symmetric: bool, output: Any
    ) -> None:
        frames, depth, stride, (before, after), dilation, _ = windows
        remainder = mirror_shift(*windows)
        if stride == 1 and not remainder:
            return
        extent = dilation * (depth - 1) + 1
        leaks = not symmetric and tells_order(*windows)
        self.stages.append(
            Stage(layer, kind, frames, extent, stride, before, after, remainder, symmetric, leaks)
        )
        if self._measure:
            self.differences.append(_difference(next(_tensors(output))))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name == "convolution" and args[1].ndim == 5:
            args = (args[0], args[1].mean(2, keepdim=True).expand_as(args[1]), *args[2:])
        output = func(*args, **(kwargs or {}))
        if not any(isinstance(module, Module) for module in self._inside):
            found = _call(name, args)
            if found is not None:
                caller = self._inside[-1]
                symmetric = getattr(caller, "symmetric_time", False)
                self._add(self._names[caller], *found, symmetric, output)
        return output


def _windows(module: Any, clip: Tensor) -> tuple[str, tuple[Any, ...], bool]:
    """(kind, arguments of `mirror_shift`, whether both placements are averaged) of a layer."""
    frames, symmetric = clip.shape[-3], getattr(module, "symmetric_time", False)
    if isinstance(module, Conv3T | nn.Conv3d):
        return "convolution", (*windows_in_time(module, frames), False), symmetric
    kernel, stride = _time(module.kernel_size), _time(module.stride)
    padding: Any = getattr(module, "padding", 0)
    dilation = _time(getattr(module, "dilation", 1))
    if isinstance(module, FittingPool3d):
        kernel = min(kernel, frames)
    largest = isinstance(module, nn.MaxPool3d) or getattr(module, "kind", "") == "max"
    kind = "max pooling" if largest else "average pooling"
    edge, ceil = _time(padding), getattr(module, "ceil_mode", False)
    return kind, (frames, kernel, stride, (edge, edge), dilation, ceil), symmetric


def _call(name: str, args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]] | None:
    """The same of an ATen operator on clips; None for others."""
    clip = args[0] if args else None
    if not isinstance(clip, Tensor) or clip.ndim != 5:
        return None
    frames = clip.shape[2]
    if name == "convolution" and not args[6]:
        stride, padding, dilation = (_time(args[i]) for i in (3, 4, 5))
        windows = (frames, args[1].shape[2], stride, (padding, padding), dilation, False)
        return "convolution", windows
    if name == "constant_pad_nd" and len(args[1]) > 4:
        return "padding", (frames, 1, 1, (args[1][4], args[1][5]), 1, False)
    if name in {"max_pool3d_with_indices", "avg_pool3d"}:
        largest = name != "avg_pool3d"
        # (input, kernel_size, stride=[], padding=0, [dilation=1,] ceil_mode=False, ...)
        kernel, stride, edge, dilation, ceil = _pooling(args[1:], dilated=largest)
        kind = "max pooling" if largest else "average pooling"
        return kind, (frames, kernel, stride, (edge, edge), dilation, ceil)
    return None


def _pooling(args: tuple[Any, ...], *, dilated: bool) -> tuple[int, int, int, int, bool]:
    defaults: tuple[Any, ...] = ([], 0, 1, False) if dilated else ([], 0, False)
    given: list[Any] = [*args, *defaults[len(args) - 1 :]]
    kernel, rest = given[0], given[1:]
    stride, edge, *dilation, ceil = rest[: len(defaults)]
    return _time(kernel), _time(stride or kernel), _time(edge), _time((*dilation, 1)[0]), bool(ceil)


def _time(size: Any) -> int:
    return int(size if isinstance(size, int) else size[0])


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)
