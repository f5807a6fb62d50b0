"""The network of a run folder, with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threetconv.errors import InputError
from threetconv.networks.weight_files import load_weights
from threetconv.records.run_folder import damaged_run, read_run
from threetconv.support.provenance import file_sha256

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load_model", "network_of"]


def network_of(record: Mapping[str, Any]) -> nn.Module:
    """The network that a run's record describes; every tensor of it is still to be replaced.

    Args:
        record: "run" of run.json. "carry" matters here because batch norm's eps, which is not
            among the tensors, follows it; without that entry it is taken for "convolutions".
    """
    from threetconv.networks.build import build_2d, build_network  # torch when needed

    name, classes, width = record["network"], record["num_classes"], record["width_factor"]
    carry = record.get("carry") or "convolutions"
    weights = None
    if carry == "all" and record["init"] == "pretrained":  # the norms are the 2D network's then
        weights = build_2d(name, num_classes=classes, width=width, seed=0).state_dict()
    return build_network(
        name,
        convolution=record["convolution"],
        num_classes=classes,
        clip_shape=(record["frames"], record["height"], record["width"]),
        width=width,
        weights=weights,
        carry=carry,
        seed=0,
        symmetric_time=record.get("symmetric_time", False),  # older records are of such networks
        verify=False,  # it was verified when it was trained
    )


def load_model(folder: str | Path) -> nn.Module:
    """The network of a finished run, trained or fetched, with its best weights.

    Args:
        folder: the run's folder; run.json and best.safetensors are read.

    Returns:
        The network in evaluation mode, for normalised clips (N, 3, T, H, W); it gives logits
        (N, classes), in the order of "classes" in run.json.

    Raises:
        InputError: a file is missing or damaged, or the two do not belong together.
    """
    record = read_run(folder)["run"]
    weights = Path(folder) / "best.safetensors"
    try:
        network = network_of(record)
    except (KeyError, TypeError) as error:
        raise damaged_run(folder, f"a record without {error}") from error
    if not weights.is_file():
        raise damaged_run(folder, "nothing at this path", file=weights.name)
    load_weights(weights, network, format="threetconv")
    if file_sha256(weights) != record["weights_sha256"]:
        raise InputError(
            weights,
            found=f"SHA-256 {file_sha256(weights)}",
            expected=f"{record['weights_sha256']}, as run.json beside it says",
            remedy="copy both files from the same run; if they are, one was changed: fetch or "
            "train the run again",
        )
    return network.eval()
