"""threetconv: temporally factorised 3D convolutions and the study of what they learn.

`Conv3T` is used as `torch.nn.Conv3d` is; `lift` turns a 2D ConvNet into a video network;
`build_network` gives the paper's networks. The names load on first use, so that
``import threetconv`` does not import torch. No module may bear one of these names: on import Python
would put the module in the name's place.

Source: Ras, Ambrogioni, Haselager, van Gerven and Güçlü, "Explainable 3D Convolutional Neural
Networks by Learning Temporal Transformations", arXiv 2006.15983 (2020).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threetconv.layer.conv3t import Conv3T
    from threetconv.networks.authors import load_authors_checkpoint
    from threetconv.networks.build import build_network
    from threetconv.networks.freeze import freeze_filters
    from threetconv.networks.lift import lift
    from threetconv.networks.lift_check import verify_lift
    from threetconv.networks.order_leak import leak_free_lengths, order_leak
    from threetconv.networks.trace import reachable
    from threetconv.records.extract import extract_parameters
    from threetconv.records.load_model import load_model
    from threetconv.records.study_results import open_study
    from threetconv.training.recipes import parameter_groups, spread_transforms

__version__ = "0.1.0"
__all__ = [
    "Conv3T",
    "__version__",
    "build_network",
    "extract_parameters",
    "freeze_filters",
    "leak_free_lengths",
    "lift",
    "load_authors_checkpoint",
    "load_model",
    "open_study",
    "order_leak",
    "parameter_groups",
    "reachable",
    "spread_transforms",
    "verify_lift",
]

_HOME = {
    "Conv3T": "threetconv.layer.conv3t",
    "build_network": "threetconv.networks.build",
    "extract_parameters": "threetconv.records.extract",
    "freeze_filters": "threetconv.networks.freeze",
    "leak_free_lengths": "threetconv.networks.order_leak",
    "lift": "threetconv.networks.lift",
    "load_authors_checkpoint": "threetconv.networks.authors",
    "load_model": "threetconv.records.load_model",
    "open_study": "threetconv.records.study_results",
    "order_leak": "threetconv.networks.order_leak",
    "parameter_groups": "threetconv.training.recipes",
    "reachable": "threetconv.networks.trace",
    "spread_transforms": "threetconv.training.recipes",
    "verify_lift": "threetconv.networks.lift_check",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'threetconv' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
