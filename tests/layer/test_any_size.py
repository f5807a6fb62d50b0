"""The compiled kernels: where their machine code is kept, and what importing them costs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SRC = Path(__file__).parents[2] / "src"

COMPILE = "from threetconv.layer.cpu.warp_coordinates import inner_taps; print(inner_taps(2, 1))\n"


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
    run("import sys, threetconv.layer.conv3t; assert 'numba' not in sys.modules")


def test_machine_code_goes_where_the_user_says(tmp_path: Path) -> None:
    assert run(COMPILE, NUMBA_CACHE_DIR=str(tmp_path)) == "[12 17]\n"
    assert list(tmp_path.rglob("warp_coordinates.inner_taps-*.nbc"))


CALLS = {
    "compiled": (
        "from threetconv.layer.cpu.compile import compiled\n"
        "from threetconv.layer.cpu.warp_coordinates import inner_taps\n"
        "@compiled\ndef first(): return inner_taps(1, 1)[0]\n",
        "from threetconv.layer.cpu.any_size import first; print(first())",
    ),
    "callback": (
        "from numba import carray\n"
        "from threetconv.layer.cpu.compile import Callback\n"
        "from threetconv.layer.cpu.warp_coordinates import inner_taps\n"
        "@Callback\ndef first(pointer): carray(pointer, (1,))[0] = inner_taps(1, 1)[0]\n",
        "import ctypes, numpy as np; from threetconv.layer.cpu.any_size import first\n"
        "call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(first.address(np.dtype('float64')))\n"
        "number = ctypes.c_double(); call(ctypes.addressof(number)); print(int(number.value))",
    ),
}


@pytest.mark.parametrize("kind", CALLS)
def test_an_edit_of_a_file_that_a_kernel_calls_into_is_noticed(kind: str, tmp_path: Path) -> None:
    """numba looks at the function's own file; the machine code holds what it calls as well."""
    caller, program = CALLS[kind]
    package, kept = tmp_path / "src/threetconv", tmp_path / "kept"
    shutil.copytree(SRC / "threetconv", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "layer/cpu/any_size.py").write_text(caller)
    environment = {"PYTHONPATH": str(tmp_path / "src"), "NUMBA_CACHE_DIR": str(kept)}
    assert [run(program, **environment) for _ in range(2)] == ["12\n", "12\n"]
    assert list(kept.rglob("any_size.first-*.nbc"))
    called = package / "layer/cpu/warp_coordinates.py"
    called.write_text(called.read_text(encoding="utf-8").replace("MARGIN = 2", "MARGIN = 13"))
    assert run(program, **environment) == f"{13 * 27 + 13}\n"


def test_files_that_kernels_are_made_of_are_known() -> None:
    """Each is looked at to see whether machine code that is kept still holds."""
    files = list((SRC / "threetconv/layer/cpu").glob("*.py"))
    assert len(files) > 5
    for file in files:
        source = file.read_text(encoding="utf-8")
        imported = re.findall(r"^from (threetconv[\w.]*) import", source, re.M)
        assert {module.rpartition(".")[0] for module in imported} <= {"threetconv.layer.cpu"}


def test_nowhere_to_keep_machine_code_is_no_error() -> None:
    """numba refuses to decorate a function then."""
    refuse = """
import numba.core.caching as caching
def refuse(*args): raise RuntimeError("cannot cache function: no locator available")
caching.FunctionCache.__init__ = refuse
"""
    assert run(refuse + COMPILE) == "[12 17]\n"
    build = (
        "import torch; from threetconv.layer.build_filters import build_filters\n"
        "parameters = [torch.ones(1, 1, 3, 3), *torch.zeros(4, 1, 1)]\n"
        "print(build_filters(*parameters, backend='compiled').sum().item())\n"
    )
    assert run(refuse + build) == "18.0\n"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_of_rows(dtype: type) -> None:
    """Each operation on simd_memory, against numpy."""
    from numba import njit

    from threetconv.layer.cpu import simd, simd_memory

    @njit
    def apply(a, out):  # type: ignore[no-untyped-def]
        nil = simd.sixteen_zeros(a)
        x, y = simd_memory.load(a, 0, nil), simd_memory.load(a, 16, nil)
        simd_memory.store(out, 0, simd.add(x, y))
        simd_memory.store(out, 16, simd.subtract(x, y))
        simd_memory.store(out, 32, simd.multiply(x, y))
        simd_memory.store(out, 48, simd.multiply_add(x, a[3], y))
        simd_memory.store(out, 64, simd.plus(x, y))
        simd_memory.store(out, 80, simd.minus(x, y))
        simd_memory.store(out, 96, simd.times(x, y))
        simd_memory.store(out, 112, simd.floor(x))
        simd_memory.store(out, 128, simd.where_less(x, y, x, simd.spread(7, nil)))
        simd_memory.store(out, 144, simd.where_less(simd.spread(np.nan, nil), y, x, y))
        four = simd_memory.load(a, 2, simd.four_zeros(a))
        simd_memory.store(out, 160, simd.upper(four, nil))
        simd_memory.store(out, 176, simd.lower(four, nil))
        simd_memory.store(out, 192, simd.twice(simd.fold(x)))
        simd_memory.store(out, 208, simd.quarters(x, y))
        simd_memory.store(out, 224, simd.quarters(simd.twice(four), simd.fold(y)))
        simd_memory.store(out, 240, simd.quarters(simd.twice(x), simd.twice(y)))
        out[256], out[257] = simd.total(x), simd.total(four)
        out[258] = simd.width_of(nil) + simd.width_of(four)

    a = np.random.default_rng(0).normal(size=32).astype(dtype)
    out = np.full(259, np.nan, dtype)
    apply(a, out)
    x, y = a[:16], a[16:]
    expected = np.concatenate(
        [
            *[x + y, x - y, x * y, x + a[3] * y, x + y, x - y, x * y],
            *[np.floor(x), np.where(x < y, x, 7), y],
            *[np.repeat(a[2:4], 8), np.repeat(a[4:6], 8), np.tile(x[:8] + x[8:], 2)],
            (a[:32].reshape(4, 2, 4).sum(1)).ravel(),
            np.concatenate([a[2:6], a[2:6], y[:4] + y[8:12], y[4:8] + y[12:]]),
            np.tile(a.reshape(2, 1, 4, 4).sum(2), (1, 2, 1)).ravel(),
            [x.sum(), a[2:6].sum(), 20],
        ]
    )
    np.testing.assert_allclose(out, expected, rtol=0, atol=2e-6 if dtype is np.float32 else 1e-14)


@pytest.mark.parametrize("width", [4, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reading_and_writing_rows(dtype: type, width: int) -> None:
    """What is moved where, against numpy's indexing; nothing beside it is written."""
    from numba import njit

    from threetconv.layer.cpu import simd, simd_memory

    zeros = simd.four_zeros if width == 4 else simd.sixteen_zeros

    @njit
    def apply(a, whole, out):  # type: ignore[no-untyped-def]
        nil = zeros(a)
        simd_memory.store(out[0], 1, simd_memory.load(a, 5, nil))
        simd_memory.store(out[1], 1, simd_memory.load_fours(a, 3, 7, nil))
        simd_memory.store_fours(out[2], 1, 7, simd_memory.load(a, 0, nil))
        simd_memory.store(out[3], 1, simd_memory.load_down(a, 2, 5, nil))
        simd_memory.store_down(out[4], 1, 3, simd_memory.load(a, 0, nil))
        simd_memory.put(out[5], 4, simd_memory.number(a, 9))
        p, q, r, s = simd.transpose(
            simd_memory.load(a, 0, nil),
            simd_memory.load(a, 16, nil),
            simd_memory.load(a, 32, nil),
            simd_memory.load(a, 48, nil),
        )
        simd_memory.store(out[6], 0, p)
        simd_memory.store(out[6], 16, q)
        simd_memory.store(out[6], 32, r)
        simd_memory.store(out[6], 48, s)
        simd_memory.store_whole(whole, 1, simd.floor(simd_memory.load(a, 0, nil)))

    a = (10 * np.random.default_rng(1).normal(size=96)).astype(dtype)
    out, whole = np.zeros((7, 96), dtype), np.zeros(20, np.int32)
    apply(a, whole, out)
    expected, of = np.zeros((7, 96), dtype), np.arange(width)
    expected[0, 1 + of] = a[5 + of]
    expected[1, 1 + of] = a[3 + of // 4 * 7 + of % 4]
    expected[2, 1 + of // 4 * 7 + of % 4] = a[of]
    expected[3, 1 + of] = a[2 + 5 * of]
    expected[4, 1 + 3 * of] = a[of]
    expected[5, 4] = a[9]
    for row in range(4):
        expected[6, 16 * row + of] = a[16 * (of % 4) + of // 4 * 4 + row]
    np.testing.assert_array_equal(out, expected)
    assert whole.tolist() == [0, *np.floor(a[:width]).astype(int), *[0] * (19 - width)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_are_the_memory_at_their_addresses(dtype: type) -> None:
    from numba import njit

    from threetconv.layer.cpu.work_order import array_at

    @njit
    def apply(source, target, count, like):  # type: ignore[no-untyped-def]
        array_at(target, count, like)[:] = 2 * array_at(source, count, like)

    source, target = np.arange(9, dtype=dtype), np.zeros(9, dtype)
    apply(source[1:].ctypes.data, target.ctypes.data, 7, np.empty(0, dtype))
    assert target.tolist() == [2, 4, 6, 8, 10, 12, 14, 0, 0]
