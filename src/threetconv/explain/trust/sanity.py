"""Sanity checks by randomisation: does an explanation depend on what the network learned?

An explanation of a network with random weights, or of one trained on random labels, should look
different; one that looks the same shows the clip, not the network.

last layer   the weights of the target's own layer are drawn anew
all layers   so are those of every layer called before it
labels       another network, trained on permuted labels, takes the network's place

The original randomises from the classifier down, because it explains classes. Layers above a
channel cannot change the channel's explanation, so randomising them would test nothing: here the
cascade starts at the target. To explain a class, give an output of the classifier as the target,
``Channel("fc", 3)``, and methods that read it so (``lambda network, clip, channel:
gradient(network, clip, None, label=channel.index)``); the rule is then the original's.

The explained unit stays the same: the channel's strongest unit in the trained network. With other
weights another unit would be the strongest, and explanations of two places in the clip differ
whatever the method.

Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018 (arXiv 1810.03292).
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.forward import evaluating
from threetconv.explain.saliency.targets import Place
from threetconv.explain.trust.replay import patched
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS
from threetconv.schemas.channels import SANITY

__all__ = ["COLUMNS", "SIMILARITIES", "THRESHOLD", "randomise", "sanity", "spearman", "ssim"]

COLUMNS = SANITY.names

THRESHOLD = 0.7
"""Similarity from which an explanation counts as unchanged. A rank correlation of 0.7 is half of
the variance of the ranks (0.7^2 = 0.49): the map then shows as much of the clip and of the shape of
the receptive field as of what was randomised. SSIM, whose structure term is a correlation within a
window, is read the same way."""

Array = NDArray[np.float64]
Method = Callable[..., Any]


def sanity(
    network: nn.Module,
    clips: Tensor,
    channels: Sequence[Channel],
    methods: Mapping[str, Method],
    *,
    seed: int,
    relabelled: nn.Module | None = None,
    run_id: str = "",
    layer_index: Mapping[str, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """How alike explanations are before and after randomisation.

    Args:
        network: explained in evaluation mode; left as it was.
        clips: float32 (N, 3, T, H, W), normalised.
        channels: the targets.
        methods: name -> f(network, clip (1, 3, T, H, W), channel) -> a map (T, H, W), or something
            with such a `map`. Each is called with the network as it is and with changed ones. Where
            what it gives names its `unit`, the changed networks are asked about the same one, by
            ``unit=``, as the methods of `threetconv.explain.saliency.methods` are.
        seed: of the random weights; torch's global generator is left alone. What is drawn for a
            parameter depends on the seed and its name alone.
        relabelled: a network of the same build, trained on permuted labels. Its channels answer to
            the network's own only when both started from the same weights.
        run_id: for the column of that name.
        layer_index: layer -> index; without it layers are counted as they come in `channels`.
        progress: called with (explanations done, all).

    Returns:
        Columns `COLUMNS`: a line per channel, method, randomisation and similarity ("spearman",
        "ssim"). `value` is the mean over the `n` clips for which the method shows anything, before
        or after; NaN without any. `flagged`: at least `THRESHOLD`, so the explanation did not
        change.

    Raises:
        InputError: a layer that the network has not or does not call, or maps of another shape.
    """
    index = dict(layer_index or {})
    for channel in channels:
        index.setdefault(channel.layer, len(index) if layer_index is None else -1)
    rows: list[tuple[Any, ...]] = []
    done, total = 0, len(channels) * len(methods)
    for layer in dict.fromkeys(channel.layer for channel in channels):
        # They depend on the layer alone, so all its channels share these copies of the network.
        changed = _changed_networks(network, layer, clips, seed, relabelled)
        for channel in (channel for channel in channels if channel.layer == layer):
            for name, method in methods.items():
                before, units = _maps(name, method, network, clips, channel)
                for how, other in changed.items():
                    after, _ = _maps(name, method, other, clips, channel, units=units)
                    for similarity, compare in SIMILARITIES.items():
                        values = [compare(a, b) for a, b in zip(before, after, strict=True)]
                        # NaN: the method showed nothing on this clip, before or after, which is no
                        # evidence either way.
                        known = [value for value in values if not np.isnan(value)]
                        mean = float(np.mean(known)) if known else float("nan")
                        row = (channel.index, name, how, similarity, mean, len(known))
                        rows.append((run_id, index[layer], layer, *row, mean >= THRESHOLD))
                done += 1
                if progress is not None:
                    progress(done, total)
    table = pd.DataFrame(rows, columns=COLUMNS)
    kinds = {"layer_index": "int32", "channel": "int32", "value": "float64", "n": "int32"}
    return table.astype({**kinds, "flagged": "bool"})


def randomise(network: nn.Module, modules: Sequence[str], *, seed: int) -> nn.Module:
    """A copy of a network with the parameters of some modules drawn anew.

    Weights are normal around 0, everything else (biases, norms, temporal parameters) around its
    mean, each with the spread that the trained tensor has: the norms behind, whose statistics stay,
    still fit, and what changes is which number stands where. Torch's own initialisation would fade
    the activations of a trained network out instead.

    Args:
        network: it is not changed.
        modules: names of modules whose own parameters (not their children's) are drawn.
        seed: what is drawn for a parameter depends on it and on the parameter's name alone.
    """
    randomised = copy.deepcopy(network)
    for name in modules:
        for own, parameter in randomised.get_submodule(name).named_parameters(recurse=False):
            # A stream per parameter, so that "last layer" and "all layers" share the target's new
            # weights.
            generator = np.random.default_rng([seed, zlib.crc32(f"{name}.{own}".encode())])
            drawn = torch.from_numpy(generator.standard_normal(tuple(parameter.shape)))
            # Temporal parameters have two axes, too, but are not centred on 0 (scale is near 1).
            weight = parameter.ndim > 1 and own not in TEMPORAL_PARAMETERS
            numbers = parameter.detach().double()
            mean = numbers.new_zeros(()) if weight else numbers.mean()
            spread = (numbers - mean).square().mean().sqrt()
            with torch.no_grad():
                parameter.copy_(mean + spread * drawn.to(parameter.device))
    return randomised


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Rank correlation of two maps' absolute values, where at least one of them is not 0.

    Most maps are 0 outside a unit's receptive field, with any weights; those places say nothing
    and would count as agreement.

    Args:
        a, b: of one shape.

    Returns:
        -1 to 1; 0 when one map is constant there (or empty) and the other not, 1 when both are
        constant; NaN when both are empty.
    """
    first, second, shown = _shown(a, b)
    if not shown.any():
        return float("nan")
    ranks = [rankdata(values[shown]) for values in (first, second)]
    centred = [values - values.mean() for values in ranks]
    # Pearson's correlation of ranks; np.corrcoef would warn and give NaN where a map is constant.
    norms = [float(np.sqrt((values**2).sum())) for values in centred]
    if not all(norms):
        return float(not any(norms) and bool(first.any()) and bool(second.any()))
    return float((centred[0] * centred[1]).sum() / (norms[0] * norms[1]))


def ssim(a: ArrayLike, b: ArrayLike, *, sigma: float = 1.5) -> float:
    """Structural similarity of two maps' absolute values, each divided by its largest.

    The windows are Gaussian in space, one frame at a time; the mean is over the places where at
    least one map is not 0, for `spearman`'s reason.

    Args:
        a, b: (T, H, W), or any shape whose last two axes are space.
        sigma: of the window, in pixels; 1.5 with a radius of 5 is the original's.

    Returns:
        -1 to 1; NaN when both maps are empty.

    Source: Wang, Bovik, Sheikh and Simoncelli, IEEE Trans. Image Processing 13 (2004): K1 = 0.01,
        K2 = 0.03, range 1, weighted moments without Bessel's correction.
    """
    first, second, shown = _shown(a, b)
    if not shown.any():
        return float("nan")
    first, second = (values / (values.max() or 1.0) for values in (first, second))
    sigmas = [0.0] * (first.ndim - 2) + [sigma] * 2

    def local(values: Array) -> Array:
        # truncate 3.5 with sigma 1.5 gives a radius of 5: the original's window of 11 x 11.
        smooth: Array = gaussian_filter(values, sigmas, truncate=3.5, mode="reflect")
        return smooth

    mean_a, mean_b = local(first), local(second)
    variances = local(first**2) - mean_a**2 + local(second**2) - mean_b**2
    covariance = local(first * second) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * (2 * covariance + c2) / (variances + c2))[shown].mean())


SIMILARITIES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "spearman": spearman,
    "ssim": ssim,
}


def _shown(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The absolute values of both maps, and where at least one is not 0."""
    first, second = (np.abs(np.asarray(values, dtype=np.float64)) for values in (a, b))
    if first.shape != second.shape:
        raise InputError(
            "maps to compare",
            found=f"shapes {first.shape} and {second.shape}",
            expected="one shape",
            remedy="compare maps of the same clip",
        )
    return first, second, (first > 0) | (second > 0)


def _changed_networks(
    network: nn.Module, layer: str, clips: Tensor, seed: int, relabelled: nn.Module | None
) -> dict[str, nn.Module]:
    """Randomisation -> the network that replaces the original, for targets in one layer."""
    called = _called_until(network, layer, clips)
    changed = {
        "last layer": randomise(network, [layer], seed=seed),
        "all layers": randomise(network, called, seed=seed),
    }
    return changed if relabelled is None else changed | {"labels": relabelled}


def _called_until(network: nn.Module, layer: str, clips: Tensor) -> list[str]:
    """The modules whose call began before the layer's first one, and the layer."""
    begun: dict[str, None] = {}

    def patch(name: str, forward: Any, *arguments: Any, **options: Any) -> Any:
        if layer not in begun:
            begun[name] = None
        return forward(*arguments, **options)

    with evaluating(network), torch.no_grad(), patched(network, patch):
        network(clips[:1].clone())
    if layer not in begun:
        raise InputError(
            f"layer {layer!r}",
            found="no module of that name, or one that is not called",
            expected=f"one of {', '.join(name for name in begun if name)}",
            remedy="name a layer that the network calls in evaluation mode",
        )
    return list(begun)


def _maps(
    name: str,
    method: Method,
    network: nn.Module,
    clips: Tensor,
    channel: Channel,
    *,
    units: Sequence[Place | None] | None = None,
) -> tuple[list[Array], list[Place | None]]:
    """The method's map of each clip, (T, H, W), and the unit it explains there, if it says so."""
    wanted = [{} if unit is None else {"unit": unit} for unit in units or [None] * len(clips)]
    with evaluating(network):
        found = [
            method(network, clips[i : i + 1].clone(), channel, **options)
            for i, options in enumerate(wanted)
        ]
    maps = [_array(getattr(one, "map", one)) for one in found]
    for one in maps:
        if one.shape != (clips.shape[2], *clips.shape[3:]) or not np.isfinite(one).all():
            raise InputError(
                f"method {name!r} for {channel}",
                found=f"a map of shape {one.shape}, finite: {bool(np.isfinite(one).all())}",
                expected=f"finite numbers {tuple(clips.shape[2:])}, (T, H, W)",
                remedy="let the method return a map (T, H, W), or something with such a `map`",
            )
    return maps, [getattr(one, "unit", None) for one in found]


def _array(values: Any) -> Array:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)
