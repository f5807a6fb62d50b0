"""Saliency laid over the frames that it explains.

The frame is turned grey and dimmed, so that all colour is saliency and bright frames do not hide
it. The map's colour is laid over it with an opacity that rises with saliency. The colour map rises
evenly in lightness and suits colour-blind readers. All frames share one scale, so a frame without
colour had no influence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threetconv.errors import InputError, nearest

__all__ = ["COLOURS", "overlay", "strip"]

Frames = NDArray[np.uint8]

COLOURS = ("inferno", "magma", "plasma", "viridis", "cividis")
"""matplotlib's perceptually uniform colour maps."""
LOWEST = 0.3
"""Where the colour map is entered: below, it is too dark to tell from a dark frame."""
DIMMED = 0.7
"""What is left of the frame's brightness."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in a grey value (ITU-R BT.601)."""


def overlay(
    frames: Frames,
    map: NDArray[np.floating],
    frame: int | None = None,
    *,
    colours: str = "inferno",
    opacity: float = 0.9,
    quantile: float = 0.999,
) -> Frames:
    """Frames in grey with a saliency map over them in colour.

    Strength is map / scale, at most 1, where the scale is a quantile of the *positive* values of
    the whole map, so that one bright pixel does not leave the rest dark, and a map that is zero
    nearly everywhere keeps its scale. The colour's opacity is `opacity` x strength.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        map: (T, h, w), not negative; resized bilinearly where h, w differ from H, W.
        frame: this frame alone; None for all of them.
        colours: one of `COLOURS`.
        opacity: of the strongest places, 0 to 1.
        quantile: of the positive values, the strength that counts as full; 0 to 1.

    Returns:
        uint8 (T, H, W, 3), or (H, W, 3) of one frame. A map of zeros leaves the grey frames.

    Raises:
        InputError: shapes that do not fit, values that are negative or not finite, no such frame
            or colour map, an opacity or quantile outside 0 to 1.
    """
    from matplotlib import colormaps  # only where something is drawn

    values: NDArray[np.float64] = np.asarray(map, dtype=np.float64)
    _check(frames, values, frame, colours, {"opacity": opacity, "quantile": quantile})
    # Without the zeros outside the receptive field, which would pull the quantile to 0.
    positive = values[values > 0]
    scale = float(np.quantile(positive, quantile)) if positive.size else 1.0
    if frame is not None:
        frames, values = frames[frame : frame + 1], values[frame : frame + 1]
    # Maps may be coarser than the frames, such as a Grad-CAM of another tool.
    strength = _resized(np.minimum(values / scale, 1), frames.shape[1:3])
    grey = DIMMED * (frames @ np.array(LUMA))[..., None]
    colour = colormaps[colours](LOWEST + (1 - LOWEST) * strength)[..., :3] * 255
    alpha = opacity * strength[..., None]
    mixed = np.rint((1 - alpha) * grey + alpha * colour).astype(np.uint8)
    return mixed if frame is None else mixed[0]


def strip(
    frames: Frames,
    *,
    count: int | None = None,
    pixels: int = 1,
    gap: int = 2,
    paper: int = 255,
) -> Frames:
    """Frames side by side, from left to right in time.

    Args:
        frames: uint8 (T, H, W, 3).
        count: how many, evenly spaced with the first and the last; all by default, or if there
            are no more than that. One is the middle frame.
        pixels: side of the square that a pixel of a frame is drawn as.
        gap: pixels between two frames.
        paper: grey value of the gaps.

    Returns:
        uint8 (H pixels, n W pixels + (n - 1) gap, 3).

    Raises:
        InputError: not frames, or a count below 1.
    """
    _check_frames(frames)
    if count is not None and count < 1:
        raise InputError(
            "count", found=str(count), expected="at least 1", remedy="ask for a frame or more"
        )
    n = min(count or len(frames), len(frames))
    ends = (0, len(frames) - 1) if n > 1 else ((len(frames) - 1) // 2,) * 2
    chosen = frames[np.rint(np.linspace(*ends, n)).astype(int)]
    chosen = chosen.repeat(pixels, axis=1).repeat(pixels, axis=2)
    _, height, width, _ = chosen.shape
    row = np.full((height, n * width + (n - 1) * gap, 3), paper, np.uint8)
    for i, picture in enumerate(chosen):
        left = i * (width + gap)
        row[:, left : left + width] = picture
    return row


def _resized(maps: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """(T, h, w) -> (T, H, W), each frame on its own."""
    height, width = size
    if maps.shape[1:] == (height, width):
        return maps
    bilinear = Image.Resampling.BILINEAR
    resized = [
        np.asarray(Image.fromarray(one.astype(np.float32)).resize((width, height), bilinear))
        for one in maps
    ]
    return np.clip(np.stack(resized).astype(np.float64), 0, 1)


def _check_frames(frames: Frames) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise InputError(
            "frames",
            found=f"{frames.dtype} {frames.shape}",
            expected="uint8 (T, H, W, 3)",
            remedy="pass the clip's frames, before they are normalised",
        )


def _check(
    frames: Frames,
    map: NDArray[np.float64],
    frame: int | None,
    colours: str,
    shares: dict[str, float],
) -> None:
    _check_frames(frames)
    if map.ndim != 3 or len(map) != len(frames) or not map.size:
        raise InputError(
            "map",
            found=f"shape {map.shape}",
            expected=f"({len(frames)}, h, w), a map for each frame",
            remedy="pass the map of the same clip",
        )
    if not np.isfinite(map).all() or (map < 0).any():
        raise InputError(
            "map",
            found="values that are negative or not finite",
            expected="strengths of 0 or more",
            remedy="take the positive part, as Saliency.map is",
        )
    if frame is not None and not 0 <= frame < len(frames):
        raise InputError(
            f"frame {frame}",
            found="no such frame",
            expected=f"0 to {len(frames) - 1}",
            remedy="choose one of them",
        )
    if colours not in COLOURS:
        raise InputError(
            f"colours {colours!r}",
            found="no colour map of that name here",
            expected=f"one of {', '.join(COLOURS)}",
            remedy=nearest(colours, list(COLOURS)) or "use one of the names above",
        )
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(
                name, found=str(share), expected="0 to 1", remedy="give it as a fraction"
            )
