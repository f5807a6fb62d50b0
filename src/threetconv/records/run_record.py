"""What is known of a training run: a row of the runs table, and "run" in its run.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from threetconv.records.plan import Run

__all__ = ["RunRecord"]

# what only runs of one source have; the records of others do not mention it
_OF_FETCHED = {"fetched_from", "fetched_sha256", "fetched_format", "licence"}
_OF_TRAINED = {
    "settings", "class_weights", "early_stopping", "precision", "micro_batch", "processes",
}  # fmt: skip
_NOT_OF = {"trained": _OF_FETCHED, "fetched": _OF_TRAINED}


@dataclass(frozen=True, kw_only=True)
class RunRecord(Run):
    """A planned run and what became of it.

    The fields are the columns of `threetconv.schemas.runs.RUNS`, which says what each one is; None
    where it is not known. What network and training tell is filled in where the record is written
    (`threetconv.records.run_folder.write_run`).
    """

    source: str
    fetched_from: str | None = None
    fetched_sha256: str | None = None
    fetched_format: str | None = None
    licence: str | None = None
    optimiser: str | None = None
    lr: float | None = None
    recipe_details: str | None = None
    settings: str | None = None
    schedule: str | None = None
    class_weights: str | None = None
    early_stopping: int | None = None
    precision: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    micro_batch: int | None = None
    processes: int | None = None
    frames: int
    height: int
    width: int
    width_factor: float
    symmetric_time: bool = False
    carry: str
    num_classes: int
    n_train: int | None = None
    n_val: int | None = None
    n_test: int | None = None
    n_bad_clips: int | None = None
    data_digest: str | None = None
    n_parameters: int | None = None
    n_temporal: int | None = None
    sum_lr2: float | None = None
    n_updates: int | None = None
    best_epoch: int | None = None
    best_step: int | None = None
    weights_sha256: str | None = None
    git_sha: str | None = None
    versions: str | None = None
    seconds: float | None = None
    status: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain types, without what only runs of another source have."""
        return {k: v for k, v in asdict(self).items() if k not in _NOT_OF[self.source]}
