"""The class that each channel of a finished 3T network prefers.

Validation clips are run through the network of a run. The response of a channel to a clip is the
mean over time, height and width of its rectified output, after the batch norm that follows the 3T
convolution if there is one, as the network itself uses it. (Before the batch norm, a channel far
from zero would hardly be rectified, and the mean of a linear response barely depends on the
direction of motion.) The preference for a class is the mean response to its clips, in units of the
SD over all clips. Torch is imported only when a network is built.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from threetconv.clips.bad_clips import clips_of_run
from threetconv.errors import InputError
from threetconv.records.run_folder import read_run
from threetconv.schemas.channels import PREFERENCES

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["channel_responses", "class_preferences"]


def class_preferences(
    folder: str | Path,
    table: pd.DataFrame,
    packed: str | Path | None = None,
    *,
    split: str = "val",
    labels: Collection[str] = (),
    most: int | None = None,
    batch_size: int = 32,
) -> pd.DataFrame:
    """The class preferences of every channel of a finished 3T run, at its best checkpoint.

    Args:
        folder: the run's folder (run.json, best.safetensors).
        table: clip table of the run's data set, with its true labels.
        packed: its clips as one array; None decodes them.
        split: the clips to show, but those that the run left out.
        labels: classes to show, if the split has any of them; all without it.
        most: so many clips of each class at most, the first ones of the table.
        batch_size: clips at a time.

    Returns:
        Columns of `PREFERENCES`: a line per 3T layer, output channel and class of the run.
        `preference`: (mean response to the class's `n_clips` clips - mean over all clips) / SD over
        all clips (ddof 0); 0 for a channel whose response never varies, NaN for a class of which no
        clip was shown.

    Raises:
        InputError: a run without 3T layers, or a split without clips.
    """
    from threetconv.clips.dataset import ClipDataset  # torch only where needed
    from threetconv.clips.loader import batches
    from threetconv.records.load_model import load_model

    document = read_run(folder)
    run, classes = document["run"], list(document["classes"])
    names = [layer["name"] for layer in document["layers"]]
    if not names:
        raise InputError(
            Path(folder) / "run.json",
            found="no 3T layers",
            expected="a run of a 3T network; others have no temporal parameters",
            remedy="ask for preferences of 3T runs only",
        )
    chosen = clips_of_run(table, document, split=split)
    wanted = chosen["label"].isin(list(labels))
    chosen = chosen[wanted] if wanted.any() else chosen
    chosen = chosen if most is None else chosen.groupby("label", observed=True).head(most)
    shape = (run["frames"], run["height"], run["width"])
    network = load_model(folder)
    data = ClipDataset(
        chosen,
        packed=packed,
        frames=shape[0],
        size=shape[1:],
        classes=classes,
    )
    everything = np.arange(len(data))
    groups = [everything[i : i + batch_size] for i in range(0, len(data), batch_size)]
    shown = batches(data, groups)
    responses = channel_responses(network, (clips for clips, _ in shown), names)
    parts = []
    for layer in document["layers"]:
        scores, counts = _standardised(responses[layer["name"]], data.labels, len(classes))
        channels = scores.shape[0]
        parts.append(
            pd.DataFrame(
                {
                    "run_id": run["run_id"],
                    "layer_index": np.int32(layer["index"]),
                    "layer": layer["name"],
                    "channel": np.repeat(np.arange(channels, dtype=np.int32), len(classes)),
                    "label": np.tile(np.array(classes, dtype=object), channels),
                    "preference": scores.ravel().astype(np.float32),
                    "n_clips": np.tile(counts.astype(np.int32), channels),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[PREFERENCES.names]


def channel_responses(
    network: nn.Module, clips: Iterable[Tensor], layers: Iterable[str]
) -> dict[str, np.ndarray]:
    """Mean rectified output of every channel of some layers, clip by clip.

    The network is put in evaluation mode. Sums are in float64, so that the response of a clip does
    not depend on the batch it came in beyond the convolution's own rounding.

    Args:
        network: takes clips (N, 3, T, H, W).
        clips: batches of them, normalised.
        layers: names of convolutions; outputs are (N, channels, T', H', W').

    Returns:
        Layer -> (clips, channels) float64.
    """
    import torch

    found: dict[str, list[np.ndarray]] = {name: [] for name in layers}

    def hook_of(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            pooled = output.clamp_min(0).mean(dim=(2, 3, 4), dtype=torch.float64)
            found[name].append(pooled.cpu().numpy())

        return hook

    # The hooks sit behind the batch norm, where the network's own rectifier would act; see the
    # module.
    handles = [_normalised(network, name).register_forward_hook(hook_of(name)) for name in found]
    network.eval()
    try:
        with torch.no_grad():
            for batch in clips:
                network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _normalised(network: nn.Module, name: str) -> nn.Module:
    """The batch norm registered right after a convolution and as wide, or the convolution."""
    from torch.nn.modules.batchnorm import _BatchNorm

    modules = dict(network.named_modules())
    names = list(modules)
    convolution, after = modules[name], names.index(name) + 1
    following = modules[names[after]] if after < len(names) else None
    # Registration order stands in for call order, as in torchvision's networks; the width check
    # rejects a norm of another layer.
    if isinstance(following, _BatchNorm) and following.num_features == convolution.out_channels:
        return following
    return convolution


def _standardised(
    responses: np.ndarray, labels: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """(channels, classes) mean response per class in SDs from the overall mean, and clip counts."""
    counts = np.bincount(labels, minlength=classes)
    centred = responses - responses.mean(axis=0)
    spread = centred.std(axis=0)
    # what rounding alone can make vary does not count as varying
    still = spread <= 1e-9 * np.abs(responses).max(axis=0, initial=0.0)
    scores = np.full((responses.shape[1], classes), math.nan)
    # Classes without a clip keep NaN.
    for k in np.flatnonzero(counts):
        mean = centred[labels == k].mean(axis=0)
        scores[:, k] = np.where(still, 0.0, mean / np.where(still, 1.0, spread))
    return scores, counts
