"""`device: cuda` is refused before a study starts where there is no GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from threetconv.errors import InputError
from threetconv.support.gpu import check_gpu


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CUDA", "HIP", "ROCR"):
        monkeypatch.delenv(f"{name}_VISIBLE_DEVICES", raising=False)
    return tmp_path


def test_no_gpu(devices: Path) -> None:
    (devices / "nvidia-caps").mkdir()
    (devices / "nvidiactl").touch()  # the driver alone
    with pytest.raises(InputError, match="cuda, and no GPU on this machine"):
        check_gpu(None, devices)


@pytest.mark.parametrize("node", ["nvidia0", "kfd", "dxg"])
def test_a_gpu_whose_torch_is_elsewhere(devices: Path, node: str) -> None:
    (devices / node).touch()
    check_gpu(None, devices)


@pytest.mark.parametrize("value", ["", "-1"])
def test_a_gpu_that_is_hidden(devices: Path, monkeypatch, value: str) -> None:
    (devices / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with pytest.raises(InputError, match="hidden: CUDA_VISIBLE_DEVICES"):
        check_gpu(None, devices)


def test_a_torch_that_cannot_use_it(devices: Path) -> None:
    (devices / "nvidia0").touch()
    python = devices / "python"
    for status in (3, 0, 1):
        python.write_text(f"#!/bin/sh\nexit {status}\n")
        python.chmod(0o755)
        if status == 3:
            with pytest.raises(InputError, match="torch cannot use it"):
                check_gpu(str(python), devices)
        else:  # it can, or there is no torch to be asked
            check_gpu(str(python), devices)


def test_torch_itself_is_asked(devices: Path) -> None:
    import torch  # slow

    (devices / "nvidia0").touch()
    if torch.cuda.is_available():
        check_gpu(sys.executable, devices)
    else:
        with pytest.raises(InputError, match="torch cannot use it"):
            check_gpu(sys.executable, devices)
