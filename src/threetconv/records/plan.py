"""The training runs that a study asks for, each with a name and a seed of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Run", "derive_seed", "plan_runs"]


@dataclass(frozen=True)
class Run:
    """One training run of the design: one cell (or a control of it), one replicate, one seed."""

    run_id: str
    network: str
    dataset: str
    init: str
    convolution: str
    control: str
    replicate: int
    seed: int
    recipe: str = "paper"

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


def plan_runs(config: Mapping[str, Any]) -> list[Run]:
    """Every run that a validated study asks for, in a fixed order."""
    runs = []
    for network in config["networks"]:
        for dataset in config["datasets"]:
            for variant in config["variants"]:
                if network not in variant.get("networks", config["networks"]):
                    continue
                cell = (network, dataset, variant["init"], variant["convolution"])
                recipe, control = variant.get("recipe", "paper"), variant.get("control", "none")
                # what is usual is not in the names
                names = (*cell, *[recipe] * (recipe != "paper"), *[control] * (control != "none"))
                for replicate in range(1, config["replicates"] + 1):
                    run_id = "-".join((*names, f"r{replicate}"))
                    seed = derive_seed(config["seed"], run_id)
                    runs.append(Run(run_id, *cell, control, replicate, seed, recipe))
    return runs


def derive_seed(seed: int, name: str) -> int:
    """The seed that belongs to a name, 0 <= seed < 2**31.

    Runs of different cells share no random numbers, so they are independent given the data and the
    2D weights; adding a cell to a study changes no other cell.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
