"""Orientation of a frame: a film may carry a matrix that turns and mirrors its pictures.

Source: ISO/IEC 14496-12, 6.2.2 (a column x and a row y of the picture are shown at
(a x + c y, b x + d y), apart from a shift) and FFmpeg's libavutil/display.h, which hands the matrix
on whatever the container calls it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

__all__ = ["Orientation", "orientation"]


class Orientation(NamedTuple):
    """One of the eight ways to lay a rectangle on itself or on its transpose.

    Attributes:
        transposed: whether rows become columns, first of all.
        left_right: whether left and right are then swapped.
        up_down: whether top and bottom are then swapped.
    """

    transposed: bool = False
    left_right: bool = False
    up_down: bool = False

    @classmethod
    def of(cls, a: int, b: int, c: int, d: int) -> Orientation:
        """The one nearest to a matrix.

        Other angles, scales and shears are brought to the nearest right angle, since a clip has no
        room for corners without a picture; a matrix of zeros says nothing.
        """
        # a and d keep rows as rows, b and c make them columns
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def size(self, own: tuple[int, int]) -> tuple[int, int]:
        """(H, W) as shown of a frame of (H, W) as stored."""
        return own[::-1] if self.transposed else own

    def undone(self, shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A view of pictures (C, H, W) as shown, into which they are written as stored."""
        if self.left_right:
            # reversed order of the steps; a view, so that writing into it turns the picture
            shown = shown[:, :, ::-1]
        if self.up_down:
            shown = shown[:, ::-1]
        return shown.transpose(0, 2, 1) if self.transposed else shown


def orientation(frame: av.VideoFrame) -> Orientation:
    """What the display matrix of a frame says; upright without one.

    A frame whose side data were asked for is in a reference cycle with them (PyAV 18), and keeps
    its memory until Python's garbage collector runs: do not ask every frame.
    """
    data = _side_data(frame).get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    # 3 x 3 fixed-point numbers in rows (a, b, u), (c, d, v), (x, y, w): of the first five, the
    # third is not needed
    a, b, _, c, d = np.frombuffer(data, np.int32, 5).tolist()
    return Orientation.of(a, b, c, d)


def _side_data(frame: av.VideoFrame) -> Any:
    """The side data of a frame without kinds unknown to PyAV, which raises on them.

    Motion JPEG of cameras has such data (EXIF).
    """
    while True:
        try:
            return frame.side_data
        except ValueError as error:  # "31 is not a valid Type"
            kind = str(error).split(" ", 1)[0]
            if not kind.isdigit():
                raise
        # FFmpeg itself can drop data of a kind by its number; then PyAV is asked again
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
        )
        drop = graph.add("sidedata", f"mode=delete:type={kind}")
        graph.link_nodes(source, drop, graph.add("buffersink")).configure()
        graph.vpush(frame)
        frame = graph.vpull()
