"""Train one network on clips: the whole loop, readable in one go.

Adam, cross-entropy, GoogLeNet's auxiliary heads at 0.3, checkpoint of the best validation epoch,
and snapshots of the temporal parameters on a grid of updates. Source: arXiv 2006.15983 and the
authors' published experiment code.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.errors import InputError, look_up
from threetconv.geometry import temporal_state

__all__ = ["SCHEDULES", "Batches", "Result", "Settings", "Snapshot", "evaluate", "fit"]

log = logging.getLogger(__name__)


class Batches(Protocol):
    """A labelled set that hands out batches in a given order."""

    def __len__(self) -> int: ...

    def __call__(self, order: np.ndarray, batch_size: int) -> Iterable[tuple[Tensor, Tensor]]:
        """(float32 inputs (B, ...), int64 labels (B,)) for the items of `order`, in that order."""
        ...


@dataclass(frozen=True)
class Settings:
    """What decides a training run, apart from data, network and seed.

    Attributes:
        epochs: passes over the training set.
        batch_size: clips per update.
        learning_rate: Adam's; the peak one when the schedule varies it.
        schedule: "constant" (the paper's effective one) or "one-cycle".
        auxiliary_weight: weight of each auxiliary head's loss, 0.3 in the paper.
        snapshot_every: updates between snapshots of the temporal parameters.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str = "constant"
    auxiliary_weight: float = 0.3
    snapshot_every: int = 100


@dataclass(frozen=True)
class Snapshot:
    """Temporal parameters at one moment; `sum_lr2` is the sum of squared learning rates so far."""

    step: int
    epoch: int
    tag: str
    sum_lr2: float
    values: dict[str, np.ndarray]


@dataclass
class Result:
    """What training leaves behind.

    Attributes:
        best_state: state dict of the best validation epoch.
        best_epoch, best_step: when that was; epochs count from 1.
        metrics: step, epoch, split, metric, value, n; a row per epoch, split and metric.
        snapshots: in order of time: init, snapshots, last; and best.
        n_updates, sum_lr2, seconds: totals.
    """

    best_state: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_step: int = 0
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    snapshots: list[Snapshot] = field(default_factory=list)
    n_updates: int = 0
    sum_lr2: float = 0.0
    seconds: float = 0.0


def _constant(step: int, total: int) -> float:
    return 1.0


def _one_cycle(step: int, total: int) -> float:
    """Smith's one-cycle as a factor on the peak: a linear rise over 25 %, half a cosine to 0."""
    rise = max(1, round(0.25 * total))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step + 1 - rise) / (total - rise + 1)))


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": _constant,
    "one-cycle": _one_cycle,
}


def fit(
    network: nn.Module,
    training: Batches,
    validation: Batches,
    settings: Settings,
    *,
    seed: int,
    device: str = "cpu",
) -> Result:
    """Train a network in place.

    Data order, dropout and nothing else are random; both follow `seed`. Torch's global generator is
    left as it was. The numbers are the same on every run with the same number of threads.

    A last batch of a single item is left out of its epoch (another item each time), because batch
    norm over one value has no variance.

    Args:
        network: any classifier that takes what `training` hands out; in training mode it may return
            a tuple (logits, auxiliary logits, ...).
        training, validation: labelled sets.
        settings: see `Settings`.
        seed: for data order and dropout.
        device: "cpu" or "cuda".

    Raises:
        InputError: when the loss is no longer finite; names epoch and step.
    """
    factor = look_up(SCHEDULES, settings.schedule, what="schedule")
    count = _used_per_epoch(len(training), settings.batch_size)
    total = settings.epochs * math.ceil(count / settings.batch_size)
    network.to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    result, rows, best_accuracy, started = Result(), [], -1.0, time.perf_counter()

    def snapshot(tag: str, epoch: int) -> None:
        state = temporal_state(network)
        if state:
            result.snapshots.append(Snapshot(result.n_updates, epoch, tag, result.sum_lr2, state))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        snapshot("init", 0)
        for epoch in range(1, settings.epochs + 1):
            tick = time.perf_counter()
            network.train()
            order = np.random.default_rng([seed, epoch]).permutation(len(training))[:count]
            loss_sum, correct, seen = 0.0, 0, 0
            for batch in training(order, settings.batch_size):
                rate = settings.learning_rate * factor(result.n_updates, total)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                inputs, labels = (part.to(device) for part in batch)
                optimiser.zero_grad(set_to_none=True)
                logits, *auxiliary = _outputs(network(inputs))
                loss = F.cross_entropy(logits, labels)
                objective = loss + settings.auxiliary_weight * sum(
                    (F.cross_entropy(head, labels) for head in auxiliary), torch.zeros(())
                ).to(device)
                objective.backward()
                optimiser.step()
                result.n_updates += 1
                result.sum_lr2 += rate**2
                _demand_finite(float(objective.detach()), epoch, result.n_updates)
                loss_sum += float(loss.detach()) * len(labels)
                correct += int((logits.argmax(1) == labels).sum())
                seen += len(labels)
                if result.n_updates % settings.snapshot_every == 0:
                    snapshot("snapshot", epoch)
            measured = {"train": (loss_sum / seen, correct / seen, seen)}
            measured["val"] = evaluate(network, validation, batch_size=64, device=device)
            _demand_finite(measured["val"][0], epoch, result.n_updates)
            for split, (loss_value, accuracy, n) in measured.items():
                for metric, number in (("loss", loss_value), ("accuracy", accuracy)):
                    rows.append((result.n_updates, epoch, split, metric, number, n))
            if measured["val"][1] > best_accuracy:
                best_accuracy = measured["val"][1]
                result.best_epoch, result.best_step = epoch, result.n_updates
                result.best_state = copy.deepcopy(
                    {k: v.detach().cpu() for k, v in network.state_dict().items()}
                )
                result.snapshots = [s for s in result.snapshots if s.tag != "best"]
                snapshot("best", epoch)
            log.info(
                "epoch %d/%d  update %d/%d  train loss %.3f acc %.3f  val loss %.3f acc %.3f  "
                "%.1f s",
                epoch,
                settings.epochs,
                result.n_updates,
                total,
                *measured["train"][:2],
                *measured["val"][:2],
                time.perf_counter() - tick,
            )
        snapshot("last", settings.epochs)
    result.metrics = pd.DataFrame(rows, columns=["step", "epoch", "split", "metric", "value", "n"])
    result.seconds = time.perf_counter() - started
    return result


@torch.no_grad()
def evaluate(
    network: nn.Module, data: Batches, *, batch_size: int, device: str = "cpu"
) -> tuple[float, float, int]:
    """(mean cross-entropy, accuracy, number of items) in evaluation mode."""
    network.eval()
    loss_sum, correct, seen = 0.0, 0, 0
    for batch in data(np.arange(len(data)), batch_size):
        inputs, labels = (part.to(device) for part in batch)
        logits, *_ = _outputs(network(inputs))
        loss_sum += float(F.cross_entropy(logits, labels, reduction="sum"))
        correct += int((logits.argmax(1) == labels).sum())
        seen += len(labels)
    return loss_sum / seen, correct / seen, seen


def _used_per_epoch(items: int, batch_size: int) -> int:
    return items - 1 if items > batch_size > 1 and items % batch_size == 1 else items


def _demand_finite(loss: float, epoch: int, update: int) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"training, epoch {epoch}, update {update}",
            found=f"a loss of {loss}",
            expected="a finite loss",
            remedy="lower training.learning_rate",
        )


def _outputs(output: Tensor | tuple[Tensor, ...]) -> Iterator[Tensor]:
    """Logits first, then those of the auxiliary heads that are there."""
    if isinstance(output, Tensor):
        yield output
    else:
        yield from (head for head in output if head is not None)
