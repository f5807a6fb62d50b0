"""Pictures of chosen channels as files, and the table that describes each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from threetconv.explain.activation.maximise import maximise
from threetconv.explain.channel import Channel, convolution_of
from threetconv.explain.forward import channel_output, evaluating
from threetconv.explain.motion.film import motion_film
from threetconv.explain.motion.filter_pictures import (
    energy_strip,
    filter_strip,
    pictogram,
    sees_colour,
)
from threetconv.explain.saliency.methods import METHODS
from threetconv.explain.saliency.overlay import overlay, strip
from threetconv.layer.conv3t import Conv3T
from threetconv.schemas.channels import IMAGES
from threetconv.support.files import atomic

__all__ = ["Pictures"]

Picture = NDArray[np.uint8]


class Pictures:
    """Makes pictures of channels of one network and remembers what they are.

    Args:
        network: on the device of `clips`; left as it was.
        run_id: for the table.
        frames: uint8 (N, T, H, W, 3), the clips to choose from.
        clips: the same normalised, float32 (N, 3, T, H, W).
        ids, labels: clip id and class name of each.
        seed: of optimised inputs.
        folder: where pictures go; the table's files are relative to its parent.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        run_id: str,
        frames: NDArray[np.uint8],
        clips: Tensor,
        ids: Sequence[str],
        labels: Sequence[str],
        seed: int,
        folder: Path,
    ) -> None:
        self._network, self._run_id, self._seed, self._folder = network, run_id, seed, folder
        self._frames, self._clips, self._ids, self._labels = frames, clips, ids, labels
        self._rows: list[dict[str, object]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def table(self) -> pd.DataFrame:
        """A line per picture; columns of `IMAGES`."""
        return pd.DataFrame(self._rows, columns=IMAGES.names)

    def add(
        self,
        channel: Channel,
        layer_index: int,
        *,
        methods: Sequence[str],
        steps: int,
        learning_rate: float,
    ) -> None:
        """Filters, saliency on the clip that excites the channel most, optimised inputs."""
        here = {"layer_index": layer_index, "layer": channel.layer, "channel": channel.index}
        module = convolution_of(self._network, channel)
        threet = isinstance(module, Conv3T)
        depth = int(module.kernel_size[0])
        # Three input channels can be drawn as RGB. Of deeper 3D filters only magnitudes can be
        # shown; deeper 3T filters are described by their transforms instead (pictogram).
        if sees_colour(self._network, channel):
            shown = filter_strip(self._network, channel, gap=0)
            self._save(here, "filters", shown, n_frames=depth)
        elif not threet:
            note = "norm over input channels of each tap: how much, not what"
            shown = energy_strip(self._network, channel, gap=0)
            self._save(here, "filters", shown, n_frames=depth, note=note)
        if threet:
            self._save_film(here, "pictogram", pictogram(module, channel.index))
        self._add_saliency(here, channel, methods)
        self._add_optimised(here, channel, steps=steps, learning_rate=learning_rate)

    def _add_optimised(
        self, here: dict[str, object], channel: Channel, *, steps: int, learning_rate: float
    ) -> None:
        """The optimised input and, for 3T, a picture moved by the channel's own transforms."""
        module, shape = convolution_of(self._network, channel), self._frames.shape[1:4]
        # In a first layer, which is linear, the mean depends on the picture's mean colour only.
        objective = "unit" if sees_colour(self._network, channel) else "mean"
        found = maximise(
            self._network,
            channel,
            clip_shape=shape,
            # As in the paper: one picture for 3T, whose filters carry the motion; a free video for
            # 3D.
            video=not isinstance(module, Conv3T),
            steps=steps,
            lr=learning_rate,
            objective=objective,
            seed=self._seed,
        )
        what = "of the middle unit" if objective == "unit" else "on average"
        note = (
            f"response {what} {found.start:.3g} before, {found.end:.3g} after {steps} steps"
            f"{'' if found.end > found.start else ': ascent failed'}"
        )
        self._save_film(here, "maximised", found.frames, note=note)
        depth, height, width = module.kernel_size
        # A 1 x 1 kernel has nothing to move, and without depth there is no transition.
        if isinstance(module, Conv3T) and depth > 1 and height * width > 1:
            film = motion_film(
                self._network,
                channel,
                clip_shape=shape,
                steps=steps,
                lr=learning_rate,
                seed=self._seed,
            )
            note = (
                f"response {film.end:.3g}; run backwards {film.backwards:.3g}, as a still "
                f"{film.still:.3g}"
            )
            self._save_film(here, "motion-film", film.frames, note=note)

    def _add_saliency(
        self, here: dict[str, object], channel: Channel, methods: Sequence[str]
    ) -> None:
        # One clip for all methods, so that their maps can be compared.
        which = self._favourite(channel)
        frames, clip = self._frames[which], self._clips[which : which + 1]
        here = {**here, "clip_id": self._ids[which], "label": self._labels[which]}
        shown_frames: set[int] = set()
        for name in methods:
            found = METHODS[name](self._network, clip, channel)
            # Two pictures per method: the paper's view of 3T networks (the frame of highest
            # saliency) and of 3D networks (the whole clip).
            picture = overlay(frames, found.map, found.frame)
            self._save(here, name, picture, frame=found.frame, note=found.note)
            self._save_film(here, name, overlay(frames, found.map), note=found.note)
            shown_frames.add(found.frame)
        # The bare frames, to be seen beside the overlays; once each, even if methods share one.
        for frame in sorted(shown_frames):
            self._save(here, "frame", frames[frame], frame=frame)
        self._save_film(here, "frame", frames)

    @torch.no_grad()
    def _favourite(self, channel: Channel) -> int:
        """The clip with the largest raw response of the channel at any place and time."""
        with evaluating(self._network):
            response = channel_output(self._network, channel, self._clips)
        return int(response.flatten(1).amax(1).argmax())

    def _save_film(
        self, here: dict[str, object], method: str, frames: Picture, *, note: str = ""
    ) -> None:
        self._save(here, method, strip(frames, gap=0), n_frames=len(frames), note=note)

    def _save(
        self,
        here: dict[str, object],
        method: str,
        picture: Picture,
        *,
        n_frames: int = 1,
        frame: int = -1,
        note: str = "",
    ) -> None:
        """Write a picture, and remember what it shows of the channel (and of the clip) `here`."""
        # frame -1 stands for a strip of all frames, in file names as in the table.
        which = "film" if frame < 0 else f"{frame:03d}"
        name = f"{here['layer']}.{here['channel']}.{method}.{which}.png"
        path = self._folder / name
        with atomic(path) as temporary:
            Image.fromarray(np.ascontiguousarray(picture)).save(temporary, optimize=True)
        about = {
            "run_id": self._run_id,
            "method": method,
            "frame": frame,
            "n_frames": n_frames,
            "file": f"{self._folder.name}/{name}",
            "height": picture.shape[0],
            "width": picture.shape[1],
            "seed": self._seed,
            "note": note,
        }
        self._rows.append({"clip_id": "", "label": ""} | here | about)
