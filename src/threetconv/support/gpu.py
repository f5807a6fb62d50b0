"""Whether this machine has a GPU that torch can use, asked before a study starts; without torch."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from threetconv.errors import InputError

__all__ = ["check_gpu"]

# NVIDIA's GPUs, AMD's, those that Windows lends to Linux, Jetson's
_NODES = ("nvidia[0-9]*", "kfd", "dxg", "nvhost-gpu", "nvgpu")
_HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_REMEDY = "set training.device to cpu, or run the study where there is a GPU (docs/cluster.md)"


def check_gpu(python: str | None, devices: str | Path = "/dev") -> None:
    """Refuse ``device: cuda`` on a machine that cannot do it.

    Args:
        python: the interpreter that will train, whose torch is asked as well; None where that is in
            another environment, which does not exist yet.
        devices: folder of the system's device files.

    Raises:
        InputError: without a GPU, with all GPUs hidden, or with a torch that cannot use it.
    """
    found = ""
    hidden = [name for name in _HIDING if os.environ.get(name, "0").strip() in ("", "-1")]
    if not any(any(Path(devices).glob(pattern)) for pattern in _NODES):
        found = "no GPU on this machine"
    elif hidden:
        found = f"the GPUs of this machine are hidden: {hidden[0]}={os.environ[hidden[0]]!r}"
    elif python is not None and not _torch_sees_one(python):
        found = "a GPU, but torch cannot use it (built without CUDA, or an older driver)"
    if found:
        raise InputError(
            "configuration: training.device",
            found=f"cuda, and {found}",
            expected="a GPU that torch can use, or device: cpu",
            remedy=_REMEDY,
        )


def _torch_sees_one(python: str) -> bool:
    """Asked in a process of its own, so that the workflow's need not hold torch."""
    code = "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 3)"
    done = subprocess.run([python, "-c", code], capture_output=True, check=False)
    return done.returncode != 3  # without torch this says nothing; the training job will
