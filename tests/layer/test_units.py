"""Units: known answers, signs, and the one definition that the parameter table shares."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threetconv.layer import units
from threetconv.records.parameters import derive

values = st.floats(-3, 3)
scales = st.floats(0.01, 10) | st.floats(-10, -0.01)


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (units.zoom, (2.0,), 0.5),
        (units.zoom, (-0.5,), -2.0),
        (units.log_zoom, (0.25,), math.log(4)),
        (units.log_zoom, (-0.25,), math.log(4)),
        (units.clockwise, (0.3,), -0.3),
        (units.clockwise_degrees, (-math.pi / 6,), 30.0),
        (units.right, (0.2,), -0.1),
        (units.up, (0.2,), 0.1),
        (units.kernel_pixels, (-0.1, 101), -10.0),
        (units.kernel_pixels, (0.25, 3), 0.5),
        (units.kernel_pixels, (0.25, 1), 0.0),
        (units.input_pixels, (0.5, 32), 16.0),
        (units.input_pixels, (0.5, 4, 3), 6.0),
    ],
)
def test_known_answers(function: object, arguments: tuple[float, ...], expected: float) -> None:
    assert callable(function)
    assert function(*arguments) == pytest.approx(expected, rel=1e-15)


def test_arrays_broadcast_and_come_back_as_float64() -> None:
    fractions = units.right(np.array([[0.5], [1.0]], dtype=np.float32))
    pixels = units.kernel_pixels(fractions, np.array([3, 7], dtype=np.int16))
    assert pixels.dtype == np.float64
    np.testing.assert_array_equal(pixels, [[-0.5, -1.5], [-1.0, -3.0]])
    assert units.input_pixels(1, np.array([1, 32], dtype=np.int32), 2).tolist() == [2, 64]
    assert units.zoom(np.float32(0.5)).dtype == np.float64


@pytest.mark.parametrize("function", [units.zoom, units.log_zoom])
def test_a_scale_of_zero_is_named(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match=r"scale\[1, 0\] is 0"):
        function([[1.0, 2.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match=r"scale.* is 0"):
        function(0.0)
    assert np.isfinite(function(1e-300))


@given(
    s=scales, r=values, tx=values, ty=values, size=st.integers(1, 11), jump=st.sampled_from([1, 32])
)
def test_the_parameter_table_uses_these_functions(  # noqa: PLR0917
    s: float, r: float, tx: float, ty: float, size: int, jump: int
) -> None:
    """To the bit: `derive` is made of them."""
    raw = {"scale": s, "rotate": r, "translate_x": tx, "translate_y": ty}
    row = derive(pd.DataFrame([{**raw, "kernel_hw": size, "jump": jump}])).iloc[0]
    assert row["s_prime"] == units.zoom(s)
    assert row["z_s"] == units.log_zoom(s)
    assert row["r_prime"] == row["z_r"] == units.clockwise(r)
    assert row["clockwise_degrees"] == units.clockwise_degrees(r)
    assert row["px_prime"] == row["z_x"] == units.right(tx)
    assert row["py_prime"] == row["z_y"] == units.up(ty)
    x, y = units.kernel_pixels(units.right(tx), size), units.kernel_pixels(units.up(ty), size)
    assert (row["kernel_px_x"], row["kernel_px_y"]) == (x, y)
    assert row["input_px_x"] == units.input_pixels(x, jump)
    assert row["input_px_y"] == units.input_pixels(y, jump)


@given(s=scales)
def test_zoom_and_its_logarithm_agree(s: float) -> None:
    assert units.log_zoom(s) == pytest.approx(math.log(abs(units.zoom(s))), abs=1e-12)


def test_torch_is_not_imported() -> None:
    """The report and the notebooks use these; torch would cost them five seconds."""
    code = (
        "import sys, threetconv.layer.units, threetconv.layer.motion\n"
        "assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
