"""The compiled kernels: where their machine code is kept, and what importing them costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SRC = Path(__file__).parents[2] / "src"

COMPILE = "from threetconv.places import inner_taps; print(inner_taps(2, 1))\n"


def run(program: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(SRC)} | environment,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_the_layer_does_not_import_numba() -> None:
    run("import sys, threetconv.conv; assert 'numba' not in sys.modules")


def test_machine_code_goes_where_the_user_says(tmp_path: Path) -> None:
    assert run(COMPILE, NUMBA_CACHE_DIR=str(tmp_path)) == "[12 17]\n"
    assert list(tmp_path.rglob("places.inner_taps-*.nbc"))


def test_an_edit_of_a_file_that_a_kernel_calls_into_is_noticed(tmp_path: Path) -> None:
    """numba looks at the function's own file; the machine code holds what it calls as well."""
    package = tmp_path / "src/threetconv"
    shutil.copytree(SRC / "threetconv", package, ignore=shutil.ignore_patterns("__pycache__"))
    caller = package / "kernels.py"
    caller.write_text(
        "from threetconv.places import compiled, inner_taps\n"
        "@compiled\ndef first(): return inner_taps(1, 1)[0]\n"
    )
    program = "from threetconv.kernels import first; print(first())"
    environment = {"PYTHONPATH": str(tmp_path / "src"), "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    assert [run(program, **environment) for _ in range(2)] == ["12\n", "12\n"]
    called = package / "places.py"
    called.write_text(called.read_text(encoding="utf-8").replace("MARGIN = 2", "MARGIN = 13"))
    assert run(program, **environment) == f"{13 * 27 + 13}\n"


def test_nowhere_to_keep_machine_code_is_no_error() -> None:
    """numba refuses to decorate a function then."""
    refuse = """
import numba.core.caching as caching
def refuse(*args): raise RuntimeError("cannot cache function: no locator available")
caching.FunctionCache.__init__ = refuse
"""
    assert run(refuse + COMPILE) == "[12 17]\n"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_numbers(dtype: type) -> None:
    """Each operation on rows, against numpy."""
    from numba import njit  # noqa: PLC0415

    from threetconv import lanes  # noqa: PLC0415

    @njit
    def apply(a, out):  # type: ignore[no-untyped-def]
        nil = lanes.sixteen_zeros(a)
        x, y = lanes.load(a, 0, nil), lanes.load(a, 16, nil)
        lanes.store(out, 0, lanes.add(x, y))
        lanes.store(out, 16, lanes.subtract(x, y))
        lanes.store(out, 32, lanes.multiply(x, y))
        lanes.store(out, 48, lanes.multiply_add(x, a[3], y))
        lanes.store(out, 64, lanes.load_nine(a, 5))
        lanes.store_nine(out, 80, x)
        out[100] = lanes.total(x)
        four = lanes.load(a, 2, lanes.four_zeros(a))
        lanes.store(out, 101, four)
        out[105] = lanes.total(four)
        out[106] = lanes.width_of(nil) + lanes.width_of(four)

    a = np.random.default_rng(0).normal(size=32).astype(dtype)
    out = np.full(107, 7, dtype)
    apply(a, out)
    x, y = a[:16], a[16:]
    expected = np.full(107, 7, dtype)
    expected[:64] = np.concatenate([x + y, x - y, x * y, x + a[3] * y])
    expected[64:80] = [*a[5:14], *[0] * 7]
    expected[80:89] = x[:9]
    expected[100:107] = [x.sum(), *a[2:6], a[2:6].sum(), 20]
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6 if dtype is np.float32 else 1e-14)
