"""Activation maximisation: the picture, or the video, that a channel responds to most.

For a 3T network the paper optimises one picture, shown for the length of the clip; for a 3D network
a free video, one picture per frame. Either works on any network: `video` says which.

The objective is the channel's raw convolution output, before norm and nonlinearity; by default its
mean, as in the paper. The network runs up to that layer only. In a first layer the mean is of
little use: a convolution is linear, so its mean output depends only on the picture's mean colour
and its borders. Use the objective "unit" there; it shows the filter's pattern.

Source: arXiv 2006.15983, Figures 2 and 3, and the authors' code; the method is Olah, Mordvintsev,
Schubert, "Feature Visualization", Distill 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from threetconv.clips.dataset import normalise
from threetconv.errors import InputError, look_up
from threetconv.explain.activation.parametrisation import (
    colour_matrix,
    fourier_scale,
    pixels,
    standardise,
    start_spectrum,
    to_uint8,
)
from threetconv.explain.activation.robustness import PAPER, Robustness, resample
from threetconv.explain.channel import Channel, convolution_of
from threetconv.explain.forward import channel_output, undisturbed

__all__ = [
    "LEARNING_RATE",
    "OBJECTIVES",
    "STEPS",
    "WEIGHT_DECAY",
    "Maximised",
    "activation",
    "ascend",
    "maximise",
    "response_to_frames",
]

STEPS, LEARNING_RATE, WEIGHT_DECAY = 500, 0.004, 0.1  # the paper's code

Frames = NDArray[np.uint8]
Progress = Callable[[int, int], None]
Film = Callable[[Tensor, Tensor], Tensor]


def _middle_unit(output: Tensor) -> Tensor:
    time, height, width = (n // 2 for n in output.shape[1:])
    return output[:, time, height, width]


OBJECTIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda output: output.mean(dim=(1, 2, 3)),
    "unit": _middle_unit,
}
"""Scalar to maximise, (B,), from a channel's output (B, T', H', W'): its mean, as in the paper, or
the unit in the middle, at (T' // 2, H' // 2, W' // 2)."""


@dataclass(frozen=True)
class Maximised:
    """The result of gradient ascent.

    Attributes:
        frames: uint8 (T, H, W, 3), or (1, H, W, 3) for a picture shown all the time; RGB.
        start: the channel's response (the objective) to the first frames, rounded to bytes and
            without random transforms, as they would be shown.
        end: the same for `frames`.
        history: float64 (steps,): the response before each step, to randomly transformed frames.
    """

    frames: Frames
    start: float
    end: float
    history: NDArray[np.float64]


def maximise(
    network: nn.Module,
    channel: Channel,
    *,
    clip_shape: tuple[int, int, int],
    video: bool,
    seed: int,
    steps: int = STEPS,
    lr: float = LEARNING_RATE,
    weight_decay: float = WEIGHT_DECAY,
    robustness: Robustness = PAPER,
    objective: str = "mean",
    progress: Progress | None = None,
) -> Maximised:
    """The input that excites a channel most, found by gradient ascent from noise.

    Args:
        network: takes normalised clips (N, 3, T, H, W). It runs in evaluation mode and is left as
            it was.
        channel: of one of its convolutions.
        clip_shape: (T, H, W).
        video: False: one picture, the same in all frames, as the paper has it for 3T networks;
            True: every frame free, as it has it for 3D networks.
        seed: decides the start and the random transforms; torch's own generators are left alone.
        steps, lr, weight_decay: of AdamW; by default the paper's.
        robustness: the random transforms; `threetconv.explain.activation.robustness.STILL` for
            none.
        objective: name in `OBJECTIVES`; the paper's is "mean".
        progress: called with (steps done, steps in all).

    Returns:
        The picture or the video. On one CPU thread the same arguments give the same bytes.

    Raises:
        InputError: no such channel or objective; a layer that does not run in evaluation; a
            response that is not finite.
        ValueError: sizes or steps below 1.
    """
    frames = clip_shape[0]

    def film(pictures: Tensor, move: Tensor) -> Tensor:
        # A single picture is repeated here, so the gradients of all frames add up in it; a free
        # video already has T frames, and expand leaves it alone.
        return resample(standardise(pictures), move).expand(frames, -1, -1, -1)

    found, _ = ascend(
        network,
        channel,
        film,
        shown=lambda pictures: pictures,
        clip_shape=clip_shape,
        pictures=frames if video else 1,
        seed=seed,
        steps=steps,
        lr=lr,
        weight_decay=weight_decay,
        robustness=robustness,
        objective=objective,
        progress=progress,
    )
    return found


def ascend(
    network: nn.Module,
    channel: Channel,
    film: Film,
    *,
    shown: Callable[[Tensor], Tensor],
    clip_shape: tuple[int, int, int],
    pictures: int,
    seed: int,
    steps: int = STEPS,
    lr: float = LEARNING_RATE,
    weight_decay: float = WEIGHT_DECAY,
    robustness: Robustness = PAPER,
    objective: str = "mean",
    progress: Progress | None = None,
) -> tuple[Maximised, Tensor]:
    """Gradient ascent on pictures, of which `film` makes the clip that the network sees.

    Args:
        film: (pictures in (0, 1) (N, 3, H, W), a random map of `Robustness.draw`) -> normalised
            frames (T, 3, H, W); differentiable.
        shown: pictures -> the frames to return, RGB in (0, 1), T of them or one.
        pictures: how many pictures are free.
        network, channel, clip_shape, seed, steps, lr, weight_decay, robustness, objective,
            progress: as for `maximise`, and so are the errors.

    Returns:
        What was found, and the pictures at the end, RGB in (0, 1), (N, 3, H, W).
    """
    if len(clip_shape) != 3 or min(*clip_shape, steps) < 1:
        raise ValueError(f"clip_shape={clip_shape} (T, H, W) and steps={steps}: at least 1 each")
    frames, height, width = clip_shape
    measure = look_up(OBJECTIVES, objective, what="objective")
    convolution = convolution_of(network, channel)
    device = convolution.weight.device
    # On the CPU, as in `start_spectrum`: a GPU's generator would draw other transforms.
    generator = torch.Generator().manual_seed(seed)
    options: dict[str, Any] = {"device": device}
    scale, colours = fourier_scale(height, width, **options), colour_matrix(**options)
    # The variables are Fourier coefficients, not pixels (Olah et al. 2017): gradient steps on
    # pixels favour high frequencies.
    spectrum = start_spectrum(pictures, height, width, seed=seed, **options).requires_grad_()
    optimiser = torch.optim.AdamW([spectrum], lr=lr, weight_decay=weight_decay)
    history = np.empty(steps)

    def picture() -> Tensor:
        return pixels(spectrum, scale, colours, width=width)

    with torch.no_grad():
        # `start` and `end` are measured on rounded frames, as these are what is saved.
        first = to_uint8(shown(picture())).numpy()
    with undisturbed(network):
        for step in range(steps):
            move = robustness.draw(generator, height, width)
            # (T, 3, H, W), one random transform for all frames; below it becomes (1, 3, T, H, W).
            clip = film(picture(), move)
            response = measure(channel_output(network, channel, clip.transpose(0, 1)[None]))[0]
            history[step] = response.item()
            # AdamW keeps running means, so one NaN would silently spoil every later step.
            if not np.isfinite(history[step]):
                raise InputError(
                    f"channel {channel}",
                    found=f"a response of {history[step]} at step {step}",
                    expected="finite responses",
                    remedy="check the network's weights, or lower the learning rate",
                )
            # The optimiser minimises, hence the sign. autograd.grad, not backward(): the network's
            # own .grad stays untouched.
            (gradient,) = torch.autograd.grad(-response, spectrum)
            spectrum.grad = gradient
            optimiser.step()
            if progress is not None:
                progress(step + 1, steps)
    final = picture().detach()
    last = to_uint8(shown(final)).numpy()
    start, end = (
        response_to_frames(network, channel, shot, length=frames, objective=objective)
        for shot in (first, last)
    )
    return Maximised(frames=last, start=start, end=end, history=history), final


def activation(
    network: nn.Module, channel: Channel, clips: Tensor, *, objective: str = "mean"
) -> Tensor:
    """A channel's raw response to clips, as `maximise` measures it; differentiable by the clips.

    Args:
        network: as for `maximise`.
        channel: of one of its convolutions.
        clips: normalised, (B, 3, T, H, W), on the network's device.
        objective: name in `OBJECTIVES`.

    Returns:
        (B,).

    Raises:
        InputError: no such channel or objective, or a layer that does not run in evaluation.
    """
    measure = look_up(OBJECTIVES, objective, what="objective")
    with undisturbed(network):
        return measure(channel_output(network, channel, clips))


def response_to_frames(
    network: nn.Module,
    channel: Channel,
    frames: Frames,
    *,
    length: int | None = None,
    objective: str = "mean",
) -> float:
    """The response to uint8 frames (T, H, W, 3); a single one is shown for `length` frames."""
    device = convolution_of(network, channel).weight.device
    clip = np.broadcast_to(frames, (length or len(frames), *frames.shape[1:])).copy()
    with torch.no_grad():
        clips = normalise(clip[None]).to(device)
        return float(activation(network, channel, clips, objective=objective)[0])
