"""Which channels matter: the drop of the true class when a channel or its motion is ablated.

"identity" sets the transforms of a channel to the identity: its first slice is repeated in time and
no longer moves. "mean" (any convolution) replaces the channel's output by its mean over clips, time
and space, which removes all information that it carries. The drop is that of log p(true class), in
nats, measured by running the network, without approximation. For each channel only what follows its
layer is run, several channels in one batch (`threetconv.explain.trust.replay`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from threetconv.errors import InputError, look_up
from threetconv.explain.channel import Channel, convolution_of
from threetconv.explain.forward import evaluating
from threetconv.explain.trust.replay import Replay, patched
from threetconv.layer.conv3t import Conv3T
from threetconv.layer.identity import set_identity
from threetconv.layer.units import IDENTITY
from threetconv.schemas.channels import FAITHFULNESS

__all__ = ["ABLATIONS", "COLUMNS", "deep_convolutions", "faithfulness"]

ABLATIONS = {"identity": "transforms at the identity", "mean": "output at its mean"}
COLUMNS = FAITHFULNESS.names
NUMBERS = 12_600_000  # in the clips of one batch: 256 clips of 16 x 32 x 32


def deep_convolutions(network: nn.Module, clip: Tensor) -> list[str]:
    """Names of the convolutions with depth in time, in the order of their first call.

    Of a network that has none, which sees single frames: those with extent in space.

    Args:
        network: in any mode; left as it was.
        clip: (B, 3, T, H, W); one clip will do.
    """
    order: dict[str, tuple[int, ...]] = {}

    def patch(name: str, forward: Any, *arguments: Any, **options: Any) -> Any:
        module = network.get_submodule(name)
        if isinstance(module, Conv3T | nn.Conv3d):
            order.setdefault(name, module.kernel_size)
        return forward(*arguments, **options)

    with evaluating(network), torch.no_grad(), patched(network, patch):
        network(clip[:1].clone())
    deep = [name for name, kernel in order.items() if kernel[0] > 1]
    return deep or [name for name, kernel in order.items() if max(kernel) > 1]


def faithfulness(
    network: nn.Module,
    layers: Iterable[str] | None,
    clips: Tensor,
    labels: Sequence[int] | np.ndarray | Tensor,
    classes: Sequence[str],
    *,
    ablation: str = "identity",
    run_id: str = "",
    batch_size: int | None = None,
    limit: int | None = None,
    displacement: pd.DataFrame | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """The drop of the true class's log probability when a channel or its motion is ablated.

    The drop is 0, without a run, for channels whose output the ablation does not change by a bit
    (transforms at the identity, or different only where no data arrives) and for layers that are
    not called.

    Args:
        network: gives logits (N, classes) for clips in evaluation mode, each clip's from that clip
            alone. Left as it was.
        layers: names of convolutions; their order gives `layer_index`. None: those that
            `deep_convolutions` finds, for "identity" the 3T ones among them.
        clips: float32 (N, 3, T, H, W), normalised, on the network's device.
        labels: (N,) index of each clip's true class.
        classes: class names by index.
        ablation: name in `ABLATIONS`.
        run_id: for the column of that name.
        batch_size: clips in one run at most, ablated channels times clips; by default what
            makes `NUMBERS` numbers. The drops do not depend on it beyond rounding.
        limit: only so many channels, those of the largest displacement, are run; the others are
            left out of the table. Whole layers are always in it.
        displacement: columns layer, channel, displacement; needed with `limit`.
        progress: called with (layers done, layers in all) after each.

    Returns:
        Columns `COLUMNS`; for each layer channel -1 (all its channels at once), then each channel;
        for each of these label "" (all clips), then every class that has clips.

    Raises:
        InputError: an unknown ablation or layer, "identity" of a layer without transforms, labels
            that do not fit, `limit` without `displacement`.
    """
    look_up(ABLATIONS, ablation, what="ablation")
    truth = _indices(labels, len(clips), len(classes), clips.device)
    if layers is None:
        names = deep_convolutions(network, clips)
        if ablation == "identity":
            names = [n for n in names if isinstance(network.get_submodule(n), Conv3T)]
    else:
        names = list(layers)
    modules = {name: convolution_of(network, Channel(name, 0)) for name in names}
    wanted = _wanted(modules, limit, displacement)
    rows = batch_size or max(1, NUMBERS // clips[0].numel())
    parts = []
    with evaluating(network), torch.no_grad():
        for index, (name, module) in enumerate(modules.items()):
            twin = _twin(name, module) if ablation == "identity" else None
            drops = _layer_drops(network, name, twin, clips, truth, wanted[name], rows)
            parts.append(_lines(index, name, drops, truth.cpu().numpy(), classes))
            if progress is not None:
                progress(index + 1, len(modules))
    table = pd.concat(parts) if parts else pd.DataFrame(columns=COLUMNS)
    return table.assign(run_id=run_id, ablation=ablation)[COLUMNS].reset_index(drop=True)


def _layer_drops(  # noqa: PLR0917
    network: nn.Module,
    name: str,
    twin: Any,
    clips: Tensor,
    truth: Tensor,
    channels: Sequence[int],
    rows: int,
) -> dict[int, np.ndarray]:
    """Channel (-1: all) -> (N,) drop of each clip."""
    drops = {channel: np.zeros(len(clips)) for channel in (-1, *channels)}
    # (1, C, 1, 1, 1), over all clips: a mean per batch would depend on the batch size.
    mean = _mean_output(network, name, clips, rows) if twin is None else None

    def change(clip: Tensor, output: Tensor) -> Tensor:
        if mean is None:
            return twin.forward(clip)
        return mean.to(output.dtype).expand_as(output)

    for first in range(0, len(clips), rows):
        part = slice(first, first + rows)
        replay = Replay(network, name, clips[part])
        if not replay.calls:
            continue
        # silent: the layer's output with every channel ablated at once, (N, C, T', H', W'); single
        # channels are taken from it.
        silent, before = change(replay.input, replay.output), _log_p(replay.logits, truth[part])
        # Per channel: does any clip, time or place change? If not, the logits cannot change
        # either.
        differ = (silent != replay.output).flatten(2).any(2).any(0).tolist()
        own = network.get_submodule(name)
        # A layer that is called again may first agree and differ later; there the parameters
        # decide.
        differ = [(d or replay.calls > 1) and _moves(own, i, twin) for i, d in enumerate(differ)]
        runs = [c for c in drops if (any(differ) if c < 0 else differ[c])]
        # So many channels go side by side that the batch holds about `rows` clips.
        side = max(1, rows // len(before)) if replay.repeats else 1
        for group in (runs[k : k + side] for k in range(0, len(runs), side)):
            logits = replay.run(group, change, silent)
            after = _log_p(logits, truth[part].repeat(len(group)))
            for channel, values in zip(group, after.chunk(len(group)), strict=True):
                drops[channel][part] = (before - values).cpu().numpy()
    return drops


def _mean_output(network: nn.Module, name: str, clips: Tensor, rows: int) -> Tensor:
    """(1, C, 1, 1, 1) float64 mean of a layer's output over clips, time and space."""
    sums: list[Tensor] = []
    counts: list[int] = []

    def patch(called: str, forward: Any, *arguments: Any, **options: Any) -> Any:
        result = forward(*arguments, **options)
        if called == name:
            sums.append(result.sum(dim=(0, 2, 3, 4), dtype=torch.float64))
            counts.append(result.numel() // result.shape[1])
        return result

    with patched(network, patch):
        for first in range(0, len(clips), rows):
            network(clips[first : first + rows].clone())
    channels: int = network.get_submodule(name).out_channels  # type: ignore[assignment]
    total = torch.stack(sums).sum(0) if sums else clips.new_zeros(channels, dtype=torch.float64)
    return (total / max(1, sum(counts))).view(1, -1, 1, 1, 1)


def _twin(name: str, module: Any) -> Conv3T:
    """A copy of a 3T layer whose transforms are the identity."""
    if not isinstance(module, Conv3T):
        raise InputError(
            f"layer {name}",
            found=f"{type(module).__name__}, which has no transforms",
            expected="a 3T layer to set to the identity",
            remedy="use the ablation 'mean', or name 3T layers only",
        )
    twin = copy.deepcopy(module)
    set_identity(twin)
    return twin


def _moves(module: Any, channel: int, twin: Any) -> bool:
    """Whether a channel's transforms differ from the identity; True without a twin."""
    return twin is None or any(
        bool((getattr(module, parameter)[:, channel] != value).any())
        for parameter, value in IDENTITY.items()
    )


def _log_p(logits: Tensor, truth: Tensor) -> Tensor:
    """(N,) log p of the true class, in float64."""
    return logits.double().log_softmax(1).gather(1, truth[:, None])[:, 0]


def _lines(
    index: int, name: str, drops: dict[int, np.ndarray], truth: np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """The lines of one layer: per channel all clips, then those of each class that has some."""
    groups = {"": np.ones(len(truth), dtype=bool)}
    groups |= {label: truth == k for k, label in enumerate(classes) if (truth == k).any()}
    rows = [
        (channel, label, values[which].mean(), which.sum())
        for channel, values in drops.items()
        for label, which in groups.items()
    ]
    table = pd.DataFrame(rows, columns=["channel", "label", "drop", "n_clips"])
    table = table.astype({"channel": "int32", "n_clips": "int32", "drop": "float64"})
    return table.assign(layer_index=np.int32(index), layer=name)


def _indices(labels: Any, clips: int, classes: int, device: torch.device) -> Tensor:
    """The labels as int64 (N,) on the clips' device."""
    truth = torch.as_tensor(np.asarray(labels)).to(device)
    good = truth.shape == (clips,) and not truth.is_floating_point()
    if not good or clips == 0 or not bool(((truth >= 0) & (truth < classes)).all()):
        raise InputError(
            "labels of the clips",
            found=f"{truth.dtype} {tuple(truth.shape)} for {clips} clips: {truth[:8].tolist()}",
            expected=f"at least one clip, and for each the index of its class, 0 to {classes - 1}",
            remedy="give the index of each clip's class "
            "(`labels` of threetconv.clips.dataset.ClipDataset)",
        )
    return truth.long()


def _wanted(
    modules: dict[str, Any], limit: int | None, displacement: pd.DataFrame | None
) -> dict[str, list[int]]:
    """Layer -> the channels to run, in order."""
    everything = {name: list(range(module.out_channels)) for name, module in modules.items()}
    if limit is None:
        return everything
    if displacement is None:
        raise InputError(
            "faithfulness",
            found=f"limit={limit} without displacement",
            expected="a table with layer, channel and displacement, to know which channels to run",
            remedy="give the channels table of the run, or no limit",
        )
    known = displacement[displacement["layer"].isin(modules)]
    # Sorted first, so that equal displacements are cut the same way whatever the order of rows.
    order = known.sort_values(["layer", "channel"]).sort_values(
        "displacement", ascending=False, kind="stable"
    )
    chosen = set(zip(order["layer"][:limit], order["channel"][:limit].astype(int), strict=True))
    return {name: [c for c in own if (name, c) in chosen] for name, own in everything.items()}
