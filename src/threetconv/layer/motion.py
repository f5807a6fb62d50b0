"""Composition of a 3T layer's transforms over time: exact, and as the paper's sums.

Slice t + 1 of a filter is slice t sampled through the map A_{t+1}. Slice t is therefore the first
slice K1 sampled through M_t = A_1 A_2 ... A_t, and the content of K1 has moved by the inverse of
M_t. All maps are similarities: the cumulative zoom is exactly the product of 1/s and the cumulative
turn the sum of -r. The *position* is not the sum of the shifts, since every later zoom and turn
also acts on earlier shifts. `trajectory` follows it exactly; `paper_curves` gives the sums that the
paper's Figure 3 draws.

The maps are those of the continuous plane. The filter itself is resampled at every step, which
blurs it, and content that leaves the kernel is lost. K1 warped once by M_t therefore agrees with
slice t in position, not in sharpness.

Parameters are arrays with time first: (T,) for one filter, or (T, C) for the channels of a layer,
as `Conv3T` stores them, with T = D - 1 transitions. All four have one shape; plain numbers are
broadcast. This module does not import torch.

Source: arXiv 2006.15983, equations 3 to 5 and Figure 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threetconv.layer.units import clockwise, input_pixels, kernel_pixels, right, up, zoom

__all__ = [
    "PaperCurves",
    "Trajectory",
    "compose",
    "content_maps",
    "paper_curves",
    "trajectory",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """How content has moved after 0, 1, ..., T transitions.

    Attributes:
        zoom: cumulative factor, always positive: (T + 1, ...), 1 at first.
        clockwise: cumulative turn in radians, 0 at first, not wrapped to [-pi, pi]. A negative
            scale counts as a half turn in the direction opposite to the step's own turn.
        x: position from the kernel's centre to the right, as a fraction of the kernel's width;
            the kernel ends at -0.5 and 0.5.
        y: the same upwards, as a fraction of its height.
    """

    zoom: Array
    clockwise: Array
    x: Array
    y: Array

    @property
    def clockwise_degrees(self) -> Array:
        """The cumulative turn in degrees."""
        return np.degrees(self.clockwise)

    def kernel_pixels(self, size: int | tuple[int, int]) -> tuple[Array, Array]:
        """(x right, y up) in steps between taps, for a kernel of `size` = k or (H, W)."""
        height, width = (size, size) if isinstance(size, int) else size
        return kernel_pixels(self.x, width), kernel_pixels(self.y, height)

    def input_pixels(
        self, size: int | tuple[int, int], jump: ArrayLike, dilation: int | tuple[int, int] = 1
    ) -> tuple[Array, Array]:
        """(x right, y up) in pixels of the network's input.

        Args:
            size: the kernel's, k or (H, W).
            jump: input pixels per feature pixel before the layer.
            dilation: the layer's in space, one number or (H, W).
        """
        x, y = self.kernel_pixels(size)
        vertical, horizontal = (dilation, dilation) if isinstance(dilation, int) else dilation
        return input_pixels(x, jump, horizontal), input_pixels(y, jump, vertical)


class PaperCurves(NamedTuple):
    """The curves of the paper's Figure 3, each (T + 1, ...).

    Attributes:
        zoom: S_t = product of 1/s, with its sign.
        rotation: R_t = sum of -r; radians, although the paper's axis says degrees.
        x: X_t = sum of -0.5 tx W.
        y: Y_t = sum of 0.5 ty H. x and y are in "paper units", a fraction of the kernel times the
            size of the image, which has no physical meaning.
    """

    zoom: Array
    rotation: Array
    x: Array
    y: Array


def compose(
    scale: ArrayLike, rotate: ArrayLike, translate_x: ArrayLike, translate_y: ArrayLike
) -> Array:
    """The cumulative sampling maps M_t: slice t at place p is K1 at M_t p.

    Args:
        scale, rotate, translate_x, translate_y: (T, ...) as stored; see the module.

    Returns:
        (T + 1, ..., 3, 3) homogeneous matrices on the normalised grid (x right, y down); the first
        is the identity. The upper two rows of step t alone are
        `threetconv.layer.affine.affine_matrix`.

    Raises:
        ValueError: for a scale of zero, a value that is not finite, shapes that do not fit, or a
            product beyond float64; the message names the entry.
    """
    s, r, tx, ty = _parameters(scale, rotate, translate_x, translate_y)
    # overflow is no warning here: `_representable` reports it with its place
    with np.errstate(over="ignore", invalid="ignore"):
        cosine, sine = s * np.cos(r), s * np.sin(r)  # equation 3
        steps = _matrix(cosine, -sine, tx * cosine - ty * sine, ty * cosine + tx * sine)
        maps = [np.broadcast_to(np.eye(3), (*s.shape[1:], 3, 3))]
        # slice t + 1 at p is slice t at A p, and that is K1 at M_t A p: new maps go to the right
        for step in steps:
            maps.append(maps[-1] @ step)
        return _representable(np.stack(maps), axes=2)


def content_maps(
    scale: ArrayLike, rotate: ArrayLike, translate_x: ArrayLike, translate_y: ArrayLike
) -> Array:
    """Where content goes: the inverses of `compose`, (T + 1, ..., 3, 3).

    One step takes content at c to R(r)^T c / s - t. Arguments and errors are `compose`'s.
    """
    s, r, tx, ty = _parameters(scale, rotate, translate_x, translate_y)
    with np.errstate(over="ignore", invalid="ignore"):
        # inverse of p -> s R(r) (p + t), composed from the left: no matrix has to be inverted
        cosine, sine = np.cos(r) / s, np.sin(r) / s
        steps = _matrix(cosine, sine, -tx, -ty)
        maps = [np.broadcast_to(np.eye(3), (*s.shape[1:], 3, 3))]
        for step in steps:
            maps.append(step @ maps[-1])
        return _representable(np.stack(maps), axes=2)


def trajectory(
    scale: ArrayLike,
    rotate: ArrayLike,
    translate_x: ArrayLike,
    translate_y: ArrayLike,
    *,
    point: ArrayLike = (0.0, 0.0),
) -> Trajectory:
    """Follow content through time, exactly.

    Args:
        scale, rotate, translate_x, translate_y: (T, ...) as stored; see the module.
        point: where the content starts, (x right, y up) in fractions of the kernel's extent from
            its centre: (2,), or (..., 2) with one point per channel. The centre by default.

    Returns:
        Arrays of shape (T + 1, ...).

    Raises:
        ValueError: as `compose`, and for a point of another shape.

    Example:
        >>> path = trajectory([1.0, 0.5], [0.0, 0.0], [-0.5, 0.0], [0.0, 0.0])
        >>> path.x.tolist()  # a quarter to the right, then everything twice as large
        [0.0, 0.25, 0.5]
    """
    s, r, _, _ = _parameters(scale, rotate, translate_x, translate_y)
    start = np.asarray(point, dtype=np.float64)
    channels = s.shape[1:]
    if start.shape not in {(2,), (*channels, 2)}:
        raise ValueError(
            f"point has shape {start.shape}, expected (2,) or {(*channels, 2)}: (x, y) per channel"
        )
    start = np.broadcast_to(start * (2.0, -2.0), (*channels, 2))  # normalised grid, y down
    maps = content_maps(scale, rotate, translate_x, translate_y)
    with np.errstate(over="ignore", invalid="ignore"):
        place = (maps[..., :2, :2] @ start[..., None])[..., 0] + maps[..., :2, 2]
        place = _representable(place, axes=1)
        growth = _representable(_running(np.multiply, zoom(np.abs(s)), start=1.0), axes=0)
    # a negative s scales by |s| and turns by pi; taken against r's turn, the two stay within pi
    half_turn = np.where(s < 0, np.where(r >= 0, np.pi, -np.pi), 0.0)
    return Trajectory(
        zoom=growth,
        clockwise=_running(np.add, clockwise(r) + half_turn, start=0.0),
        # the normalised grid is 2 wide and y runs down; fractions of the extent, y up, are returned
        x=place[..., 0] / 2,
        y=-place[..., 1] / 2,
    )


def paper_curves(
    scale: ArrayLike,
    rotate: ArrayLike,
    translate_x: ArrayLike,
    translate_y: ArrayLike,
    *,
    width: float,
    height: float,
) -> PaperCurves:
    """The curves of the paper's Figure 3, sums of the steps; `trajectory` is exact.

    Args:
        scale, rotate, translate_x, translate_y: (T, ...) as stored; see the module.
        width, height: of the clip in pixels; the paper's are 224 and 150.

    Returns:
        Four arrays (T + 1, ...), starting at 1, 0, 0, 0.

    Raises:
        ValueError: as `compose`.
    """
    s, r, tx, ty = _parameters(scale, rotate, translate_x, translate_y)
    with np.errstate(over="ignore"):
        growth = _representable(_running(np.multiply, zoom(s), start=1.0), axes=0)
    return PaperCurves(
        zoom=growth,
        rotation=_running(np.add, clockwise(r), start=0.0),
        x=_running(np.add, right(tx) * width, start=0.0),
        y=_running(np.add, up(ty) * height, start=0.0),
    )


def _parameters(*values: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """The four as float64 arrays of one shape (T, ...), or a ValueError that names the entry."""
    names = ("scale", "rotate", "translate_x", "translate_y")
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    shapes = {array.shape for array in arrays if array.ndim}  # scalars are broadcast below
    if len(shapes) != 1:
        found = ", ".join(f"{n} {a.shape}" for n, a in zip(names, arrays, strict=True))
        raise ValueError(f"{found}: expected one shape (T, ...), time first, or plain numbers")
    shape = shapes.pop()
    for name, array in zip(names, arrays, strict=True):
        for what, bad in (("not finite", ~np.isfinite(array)), ("0", array == 0)):
            if bad.any() and (name == "scale" or what != "0"):  # only a scale may not be 0
                entry = f"{name}[{', '.join(str(i) for i in np.argwhere(bad)[0])}]"
                raise ValueError(
                    f"{entry if array.ndim else name} is {what}: "
                    "the transforms must be finite and scales other than zero"
                )
    s, r, tx, ty = (np.broadcast_to(array, shape) for array in arrays)
    return s, r, tx, ty


def _matrix(cosine: Array, upper: Array, x: Array, y: Array) -> Array:
    """[[cosine, upper, x], [-upper, cosine, y], [0, 0, 1]] with (...) leading axes."""
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = ((cosine, upper, x), (-upper, cosine, y), (zero, zero, one))
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _running(operation: np.ufunc, steps: Array, *, start: float) -> Array:
    """The running product or sum over time, (T, ...) -> (T + 1, ...)."""
    first = np.full((1, *steps.shape[1:]), start)
    result: Array = operation.accumulate(np.concatenate((first, steps)), axis=0)
    return result


def _representable(values: Array, *, axes: int) -> Array:
    """`values`, or a ValueError naming the first (time, ...) where float64 overflowed."""
    bad = ~np.isfinite(values)
    if bad.any():
        entry = np.argwhere(bad)[0][: values.ndim - axes]  # without the axes of the matrix or point
        where = ", ".join(str(i) for i in entry)
        raise ValueError(
            f"the composition overflows at [{where}] (time first): "
            "scales there are too close to 0, or too large"
        )
    return values
