"""What the channels of a video network answer to: direction, turning and growing of known stimuli.

**The output of a layer** is what the network itself goes on with: behind the batch norm that takes
it, if there is one, and rectified. Without a batch norm it is standardised by its mean and SD over
all gratings, and then rectified. Every index is a ratio of responses, so no index depends on the
scale of an output.

**Response.** Of gratings, the mean of the output over time, height and width, and over phases. Of
textures, the mean over time of the one unit whose receptive field's centre they turn and grow about
(averaged over the picture, turning is translation in all directions), and over textures.

**Indices**, of mean responses over all wavelengths and speeds (so that none is the best of many):

- `direction_x` (right), `direction_y` (up): the vector sum of the responses to eight directions by
  their sum; `dsi` is its length, from 0 to 1, `direction_deg` its angle, counter-clockwise from the
  right. `speed` is the one of the three, in pixels a frame, with the largest response to the
  direction nearest to that angle.
- `turn_index`: (clockwise - counter-clockwise) by their sum. `zoom_index`: (growing - shrinking)
  by their sum.
- `motion_share`: (drifting - still) by their sum, over all directions: 1 if only what moves is
  answered to, below 0 if still gratings are answered to more. `flicker_share` is the same of
  gratings that change in place: a channel that needs change, not motion, has both alike.

Signs are those of the words for a filter's motion (`threetconv.layer.units`): a filter that moves
right, up, clockwise or grows answers to what does the same, since its later slices meet the later
frames. Stimuli are described in `threetconv.tuning.stimuli`.

**Own contribution** of a 3T layer to an index: the index minus that of the same layer, on the same
input, with its transforms at the identity. Deeper layers answer to motion already in their input;
the difference is what their own transforms add.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from threetconv.layer.conv3t import Conv3T
from threetconv.layer.identity import set_identity
from threetconv.schemas import tuning as schema
from threetconv.schemas.tuning import TUNING, TUNING_RESPONSES
from threetconv.tuning.layers import TunedLayer, find_layers
from threetconv.tuning.stimuli import (
    DIRECTIONS,
    TEXTURE_KINDS,
    Scale,
    Stimulus,
    clips,
    gratings,
    textures,
)

__all__ = ["INDICES", "Tuning", "tune"]

INDICES = [column.name for column in schema.INDICES]
NUMBERS = 1_500_000  # in the clips of one batch: 28 of 3 x 17 x 32 x 32
CONDITION = ["stimulus", "direction", "wavelength", "speed"]
ROUNDING = 1e-6  # DSI below which a direction would be that of rounding errors

Array = NDArray[np.float64]
Both = dict[str, Array]  # "intact", and "identity" of 3T layers -> responses


class Tuning(NamedTuple):
    """What `tune` returns.

    Attributes:
        channels: a row per channel: columns of `threetconv.schemas.tuning.TUNING` without run_id.
        responses: a row per channel and condition: those of `TUNING_RESPONSES`.
    """

    channels: pd.DataFrame
    responses: pd.DataFrame


def tune(
    network: nn.Module,
    layers: Sequence[str] | None = None,
    clip_shape: tuple[int, int, int] = (17, 32, 32),
    *,
    seed: int = 0,
    own: bool = True,
) -> Tuning:
    """Measure what every channel of some layers answers to.

    Layers of similar sizes share their stimuli and their forward passes, which end behind the last
    layer that is measured. The result depends on the network, the arguments and the number of
    threads only.

    Args:
        network: any video network for normalised clips (N, 3, T, H, W); 3T or 3D convolutions, or
            both. Measured in evaluation, and left as it was.
        layers: names of convolutions. None: all that have extent in time; where no layer has (a 2D
            network of single frames), all that have extent in space.
        clip_shape: (frames, height, width) of its clips.
        seed: of the textures.
        own: also measure 3T layers with their transforms at the identity.

    Returns:
        The indices of the module's description, a row per channel, and all responses. A channel
        that answers to none of the stimuli of an index has NaN there, and `note` says why;
        `direction_deg` and `speed` are NaN where there is no preference beyond rounding.

    Raises:
        InputError: no module or clip shape, or no such layer.
        RuntimeError: torch's own, for clips too small for the network.

    Example:
        >>> found = tune(network, clip_shape=(16, 32, 32))
        >>> found.channels.nlargest(5, "dsi")[["layer", "channel", "dsi", "direction_deg"]]
    """
    chosen = find_layers(network, clip_shape, layers)
    twins = {
        layer.name: _at_identity(module)
        for layer in chosen
        if own and isinstance(module := network.get_submodule(layer.name), Conv3T)
    }
    with _evaluating(network), torch.no_grad():
        bench = _Bench(network, clip_shape, seed, twins)
        # textures are read at one unit, and layers that read another place need other ones
        by_size = _grouped(chosen, lambda layer: replace(layer.scale, centre=None))
        by_place = _grouped(chosen, lambda layer: layer.scale)
        bare = [layer for layer in chosen if layer.norm is None]
        for scale, members in _grouped(bare, lambda layer: replace(layer.scale, centre=None)):
            bench.standardise(gratings(scale), scale, members)
        measured = [
            bench.measure(make(scale), scale, members)
            for make, groups in ((gratings, by_size), (textures, by_place))
            for scale, members in groups
        ]
    channels, responses = [], []
    for layer in chosen:
        parts = [(table, found[layer.name]) for table, found in measured if layer.name in found]
        conditions = pd.concat([table for table, _ in parts], ignore_index=True)
        both = {kind: np.concatenate([found[kind] for _, found in parts]) for kind in parts[0][1]}
        channels.append(_channels(layer, conditions, both))
        responses.append(_long(layer, conditions, both))
    names = [name for name in TUNING.names if name != "run_id"]
    long = [name for name in TUNING_RESPONSES.names if name != "run_id"]
    return Tuning(
        pd.concat(channels, ignore_index=True)[names],
        pd.concat(responses, ignore_index=True)[long],
    )


class _LastLayerSeenError(Exception):
    """No failure: ends a forward pass: every layer that is asked for was called."""


class _Bench:
    """A network on which responses are measured."""

    def __init__(
        self, network: nn.Module, clip_shape: tuple[int, int, int], seed: int, twins: dict[str, Any]
    ) -> None:
        self.network, self.clip_shape, self.seed, self.twins = network, clip_shape, seed, twins
        self.standards: dict[str, tuple[Tensor, Tensor]] = {}
        parameter = next(network.parameters(), torch.zeros(()))
        self.options: Any = {"device": parameter.device, "dtype": parameter.dtype}

    def measure(
        self, stimuli: list[Stimulus], scale: Scale, layers: list[TunedLayer]
    ) -> tuple[pd.DataFrame, dict[str, Both]]:
        """Conditions, and layer -> responses (conditions, channels), means over variants."""
        at_unit = scale.centre is not None
        found: dict[str, dict[str, list[Tensor]]] = {layer.name: {} for layer in layers}

        def read(layer: TunedLayer, clip: Tensor, output: Tensor) -> None:
            outputs = {"intact": output}
            if layer.name in self.twins:
                outputs["identity"] = self.twins[layer.name](clip)
            y, x = (slice(i, i + 1) if at_unit else slice(None) for i in layer.unit)
            for kind, values in outputs.items():
                used = self._used(layer, values[:, :, :, y, x])
                mean = used.mean(dim=(2, 3, 4), dtype=torch.float64)
                found[layer.name].setdefault(kind, []).append(mean.cpu())

        self._show(stimuli, scale, layers, read)
        table = pd.DataFrame(stimuli).rename(columns={"kind": "stimulus"})
        variants = int(table["variant"].max()) + 1
        both = {
            name: {
                kind: torch.cat(parts).unflatten(0, (-1, variants)).mean(1).numpy()
                for kind, parts in kinds.items()
            }
            for name, kinds in found.items()
        }
        return table[::variants][CONDITION].reset_index(drop=True), both

    def standardise(self, stimuli: list[Stimulus], scale: Scale, layers: list[TunedLayer]) -> None:
        """Find mean and SD of every channel of layers that no batch norm follows."""
        sums: dict[str, list[Tensor]] = {layer.name: [] for layer in layers}

        def read(layer: TunedLayer, _clip: Tensor, output: Tensor) -> None:
            wide = output.double()
            moments = [wide.mean((0, 2, 3, 4)), wide.square().mean((0, 2, 3, 4))]
            sums[layer.name].append(torch.stack(moments) * len(output))

        self._show(stimuli, scale, layers, read)
        for name, parts in sums.items():
            mean, square = torch.stack(parts).sum(0) / len(stimuli)
            sd = (square - mean.square()).clamp_min(0).sqrt()
            # what varies by rounding alone is constant
            sd = torch.where(sd > 1e-6 * square.sqrt(), sd, torch.inf)
            self.standards[name] = (mean.view(1, -1, 1, 1, 1), sd.view(1, -1, 1, 1, 1))

    def _used(self, layer: TunedLayer, output: Tensor) -> Tensor:
        """What the network makes of a convolution's output."""
        if layer.norm is not None:
            return self.network.get_submodule(layer.norm)(output).relu()
        mean, sd = self.standards[layer.name]
        return ((output - mean) / sd).relu()

    def _show(
        self,
        stimuli: list[Stimulus],
        scale: Scale,
        layers: list[TunedLayer],
        read: Callable[[TunedLayer, Tensor, Tensor], None],
    ) -> None:
        """Run the network on the stimuli, batch by batch, and `read` each layer's first call."""
        waiting: set[str] = set()

        def hook_of(layer: TunedLayer) -> Any:
            def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                if layer.name in waiting:
                    waiting.discard(layer.name)
                    read(layer, inputs[0], output)
                    if not waiting:
                        raise _LastLayerSeenError

            return hook

        handles = [
            self.network.get_submodule(layer.name).register_forward_hook(hook_of(layer))
            for layer in layers
        ]
        size = max(1, NUMBERS // (3 * int(np.prod(self.clip_shape))))
        try:
            for first in range(0, len(stimuli), size):
                shown = clips(stimuli[first : first + size], self.clip_shape, scale, self.seed)
                waiting |= {layer.name for layer in layers}
                with suppress(_LastLayerSeenError):
                    self.network(shown.to(**self.options))
        finally:
            for handle in handles:
                handle.remove()


def _grouped(
    layers: list[TunedLayer], key: Callable[[TunedLayer], Scale]
) -> list[tuple[Scale, list[TunedLayer]]]:
    groups: dict[Scale, list[TunedLayer]] = {}
    for layer in layers:
        groups.setdefault(key(layer), []).append(layer)
    return list(groups.items())


def _at_identity(layer: Conv3T) -> Conv3T:
    """A copy of a layer whose filters do not change over time."""
    twin = copy.deepcopy(layer).eval()
    set_identity(twin)
    return twin


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _channels(layer: TunedLayer, conditions: pd.DataFrame, both: Both) -> pd.DataFrame:
    """The rows of a layer in the table of channels."""
    values = _indices(conditions, both["intact"])
    notes = [_note(*silent) for silent in zip(*_silent(conditions, both["intact"]), strict=True)]
    still = _indices(conditions, both["identity"]) if "identity" in both else {}
    if still:
        silent = zip(*_silent(conditions, both["identity"]), strict=True)
        notes = [
            "; ".join(filter(None, (note, other and f"at the identity {other}")))
            for note, other in zip(notes, (_note(*kinds) for kinds in silent), strict=True)
        ]
    for name in INDICES:
        values[f"own_{name}"] = values[name] - still.get(name, np.nan)
    y, x = layer.scale.centre or (np.nan, np.nan)
    return pd.DataFrame(
        {
            "layer_index": np.int32(layer.index),
            "layer": layer.name,
            "channel": np.arange(layer.channels, dtype=np.int32),
            **values,
            "extent": layer.scale.extent,
            "centre_x": x,
            "centre_y": y,
            "note": notes,
        }
    )


def _indices(conditions: pd.DataFrame, responses: Array) -> dict[str, Array]:
    """The indices of every channel, from responses (conditions, channels) to all conditions."""
    kind, speed = conditions["stimulus"].to_numpy(), conditions["speed"].to_numpy()

    def mean(which: NDArray[np.bool_]) -> Array:
        return responses[which].mean(axis=0)

    # (directions, wavelengths, speeds, channels)
    speeds = np.unique(speed[kind == "grating"])
    drifting = responses[kind == "grating"].reshape(
        len(DIRECTIONS), -1, len(speeds), responses.shape[1]
    )
    by_direction = drifting.mean(axis=(1, 2))
    units = np.exp(1j * np.radians(DIRECTIONS))
    vector = _ratio((units[:, None] * by_direction).sum(axis=0), by_direction.sum(axis=0))
    dsi = np.abs(vector)
    beyond = dsi > ROUNDING  # False of NaN
    angle = np.where(beyond, np.degrees(np.angle(vector)) % 360, np.nan)
    nearest = np.round(np.where(beyond, angle, 0) / (360 / len(DIRECTIONS))).astype(int)
    there = drifting.mean(axis=1)[nearest % len(DIRECTIONS), :, np.arange(responses.shape[1])]
    best = np.where(beyond, speeds[there.argmax(axis=1)], np.nan)
    moving, still, flicker = (mean(kind == k) for k in ("grating", "still", "flicker"))
    return {
        "direction_deg": angle,
        "speed": best,
        "direction_x": vector.real,
        "direction_y": vector.imag,
        "dsi": dsi,
        "turn_index": _contrast(*(mean((kind == "turn") & (speed * s > 0)) for s in (1, -1))),
        "zoom_index": _contrast(*(mean((kind == "zoom") & (speed * s > 0)) for s in (1, -1))),
        "motion_share": _contrast(moving, still),
        "flicker_share": _contrast(flicker, still),
    }


def _contrast(one: Array, other: Array) -> Array:
    """(one - other) / (one + other), from -1 to 1; NaN where both are 0."""
    return _ratio(one - other, one + other)


def _ratio(above: Any, below: Array) -> Any:
    empty = np.full_like(above, complex(np.nan, np.nan) if np.iscomplexobj(above) else np.nan)
    return np.divide(above, below, out=empty, where=below > 0)


def _silent(conditions: pd.DataFrame, responses: Array) -> tuple[Array, Array]:
    """Whether each channel answers to no grating, and to no texture."""
    textured = conditions["stimulus"].isin([*TEXTURE_KINDS]).to_numpy()
    return (responses[~textured] == 0).all(axis=0), (responses[textured] == 0).all(axis=0)


def _note(no_grating: bool, no_texture: bool) -> str:
    said = {
        (True, True): "no response",
        (True, False): "no response to gratings",
        (False, True): "no response to textures",
    }
    return said.get((bool(no_grating), bool(no_texture)), "")


def _long(layer: TunedLayer, conditions: pd.DataFrame, both: Both) -> pd.DataFrame:
    """The rows of a layer in the table of responses: channel after channel."""
    count, channels = both["intact"].shape
    identity = both.get("identity", np.full((count, channels), np.nan))
    repeated = conditions.loc[np.tile(np.arange(count), channels)].reset_index(drop=True)
    return repeated.assign(
        layer_index=np.int32(layer.index),
        layer=layer.name,
        channel=np.repeat(np.arange(channels, dtype=np.int32), count),
        response=both["intact"].T.ravel().astype(np.float32),
        identity=identity.T.ravel().astype(np.float32),
    )
