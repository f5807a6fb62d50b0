"""threetconv: temporally factorised 3D convolutions and the study of what they learn.

`Conv3T` is used as `torch.nn.Conv3d` is; `lift` turns a 2D ConvNet into a video network;
`build_network` gives the paper's networks. The names load on first use, so that
``import threetconv`` does not import torch.

Source: Ras, Ambrogioni, Haselager, van Gerven and Güçlü, "Explainable 3D Convolutional Neural
Networks by Learning Temporal Transformations", arXiv 2006.15983 (2020).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threetconv.authors import load_authors_checkpoint
    from threetconv.conv import Conv3T
    from threetconv.deploy import freeze_filters
    from threetconv.geometry import extract_parameters
    from threetconv.lift import lift
    from threetconv.networks import build_network
    from threetconv.reachability import reachable
    from threetconv.state_files import load_model
    from threetconv.study_results import open_study

__version__ = "0.1.0"
__all__ = [
    "Conv3T",
    "__version__",
    "build_network",
    "extract_parameters",
    "freeze_filters",
    "lift",
    "load_authors_checkpoint",
    "load_model",
    "open_study",
    "reachable",
]

_HOME = {
    "Conv3T": "threetconv.conv",
    "build_network": "threetconv.networks",
    "extract_parameters": "threetconv.geometry",
    "freeze_filters": "threetconv.deploy",
    "lift": "threetconv.lift",
    "load_authors_checkpoint": "threetconv.authors",
    "load_model": "threetconv.state_files",
    "open_study": "threetconv.study_results",
    "reachable": "threetconv.reachability",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'threetconv' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
