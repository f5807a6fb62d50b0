"""Train one network on clips: the whole training loop.

Adam, cross-entropy, GoogLeNet's auxiliary heads at 0.3, the weights of the best validation epoch,
and snapshots of the temporal parameters on a grid of updates. Source: arXiv 2006.15983 and the
authors' published experiment code.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from threetconv.errors import InputError, look_up
from threetconv.networks.trace import temporal_state
from threetconv.records.result import Result, Snapshot
from threetconv.training.checkpoints import Checkpoints, result_of, state_of
from threetconv.training.distributed import ALONE, World
from threetconv.training.evaluate import evaluate
from threetconv.training.recipes import KINDS
from threetconv.training.schedules import SCHEDULES, Plateau
from threetconv.training.settings import Group, LabelledSet, Settings
from threetconv.training.step import NotFiniteError, Steps, Sums, parts_of

__all__ = ["fit"]

log = logging.getLogger(__name__)


@dataclass
class _Progress:
    """How far a run has come: what a checkpoint needs beside network, optimiser and generators.

    `done` is the number of batches done in the current epoch; `loss`, `weight`, `correct` and
    `seen` are sums over them.
    """

    epoch: int = 1
    done: int = 0
    loss: float = 0.0
    weight: float = 0.0
    correct: float = 0.0
    seen: float = 0.0
    plateau: Plateau = field(default_factory=Plateau)
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, sums: Sums) -> None:
        """Count a batch."""
        self.loss += sums.loss
        self.weight += sums.weight
        self.correct += sums.correct
        self.seen += sums.seen


def fit(
    network: nn.Module,
    training: LabelledSet,
    validation: LabelledSet,
    settings: Settings,
    *,
    seed: int,
    device: str = "cpu",
    test: LabelledSet | None = None,
    checkpoints: Checkpoints | None = None,
    world: World = ALONE,
) -> Result:
    """Train a network in place.

    Data order, dropout and what `training` draws are random; all follow `seed`. Torch's global
    generator is left as it was. The numbers are the same on every run with the same number of
    threads, also when a run is stopped and goes on from a checkpoint.

    A last batch of a single item is left out of its epoch (another item each time), because batch
    norm over one value has no variance.

    Args:
        network: any classifier that takes what `training` hands out; in training mode it may return
            a tuple (logits, auxiliary logits, ...).
        training, validation: labelled sets.
        settings: see `Settings`.
        seed: for data order and dropout.
        device: "cpu" or "cuda"; several processes each have the device of their `world`.
        test: labelled set on which the network of the best validation epoch is measured at the end.
        checkpoints: where the state is saved, and loaded from at the start; None: no checkpoints.
        world: the processes that share each batch.

    Raises:
        InputError: when a loss or a gradient is no longer finite; names epoch, update and layer.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        run = _Run(
            network,
            training,
            validation,
            settings,
            seed=seed,
            device=world.device if world.size > 1 else device,
            checkpoints=checkpoints,
            world=world,
        )
        run.start_or_go_on()
        while run.wants_another_epoch():
            run.epoch()
        return run.end(test)


class _Run:
    """A training run under way."""

    def __init__(
        self,
        network: nn.Module,
        training: LabelledSet,
        validation: LabelledSet,
        settings: Settings,
        *,
        seed: int,
        device: str,
        checkpoints: Checkpoints | None,
        world: World,
    ) -> None:
        self.factor = look_up(SCHEDULES, settings.schedule, what="schedule")
        own = settings.recipe.schedule or settings.schedule
        self.own_factor = look_up(SCHEDULES, own, what="schedule")  # of temporal parameters
        self.network, self.training, self.validation = network.to(device), training, validation
        self.settings, self.seed, self.device = settings, seed, torch.device(device)
        self.checkpoints, self.world = checkpoints, world
        self.steps = Steps(
            self.network, settings, labels=training.labels, device=self.device, world=world
        )
        # used: clips of one epoch; total: updates of the whole run, which the schedules need
        self.used = _used_per_epoch(len(training), settings.batch_size)
        self.total = settings.epochs * math.ceil(self.used / settings.batch_size)
        self.progress, self.result = _Progress(), Result()
        self.started = time.perf_counter()

    def start_or_go_on(self) -> None:
        state = self.checkpoints.load() if self.checkpoints is not None else None
        if state is None:
            # a run that goes on has this one already, in its checkpoint
            self.snapshot("init", 0)
            return
        self.restore(state)
        log.info(
            "goes on at update %d of %d, epoch %d",
            self.result.n_updates,
            self.total,
            self.progress.epoch,
        )

    def wants_another_epoch(self) -> bool:
        waited, limit = self.progress.plateau.waited, self.settings.early_stopping
        if limit is not None and waited >= limit and self.progress.done == 0:
            log.info("no better validation accuracy in %d epochs: training ends", waited)
            return False
        return self.progress.epoch <= self.settings.epochs

    def epoch(self) -> None:
        """Train the rest of the current epoch, then measure."""
        tick, progress, batch_size = time.perf_counter(), self.progress, self.settings.batch_size
        # drawn from seed and epoch alone, so that a run that goes on in mid-epoch finds the same
        # order and can leave out the batches that are done
        order = np.random.default_rng([self.seed, progress.epoch]).permutation(len(self.training))
        groups = [
            order[start : min(start + batch_size, self.used)]
            for start in range(0, self.used, batch_size)
        ][progress.done :]
        parts = [self.parts(group) for group in groups]
        # one stream for the whole epoch: clips of later batches are read while this one trains
        batches = iter(self.training([p for ps in parts for p in ps], epoch=progress.epoch))
        waited = 0.0
        for group, its_parts in zip(groups, parts, strict=True):
            asked = time.perf_counter()
            given = [next(batches) for _ in its_parts]
            waited += time.perf_counter() - asked
            self.update(group, given)
            progress.done += 1
            self.save_when_due()
        for _ in batches:  # past its last item a generator closes what it holds, such as threads
            pass
        self.measure(time.perf_counter() - tick, waited)
        self.progress = _Progress(progress.epoch + 1, plateau=progress.plateau, rows=progress.rows)

    def parts(self, group: Group) -> list[Group]:
        """This process's share of each micro-batch of a batch."""
        return [self.world.share(part) for part in parts_of(group, self.settings.micro_batch)]

    def update(self, group: Group, batches: list[tuple[Tensor, Tensor]]) -> None:
        """One step of Adam on the mean loss of a batch; also counts it and takes snapshots."""
        settings, progress, result = self.settings, self.progress, self.result
        # `n_updates` counts the updates done, so the schedule begins at 0
        rates = self.rates(result.n_updates)
        if self.world.size > 1:
            # dropout masks differ between processes. A checkpoint holds the generator of the first
            # process alone, so each update seeds its own, and a run that goes on repeats them
            mixed = np.random.SeedSequence([self.seed, result.n_updates, self.world.rank])
            torch.manual_seed(int(mixed.generate_state(1)[0]))
        try:
            sums = self.steps.step(batches, self.training.labels[group], rates)
        except NotFiniteError as error:
            self.stop(error.found, error.layer, result.n_updates + 1)
        if not sums.seen:
            # not counted as an update: parameters and Adam's moments have not moved
            log.warning("epoch %d: a batch without a readable clip is left out", progress.epoch)
            return
        result.n_updates += 1
        # the noise budget of the transforms, of all three kinds alike (see records/noise_floor.py)
        kinds = sorted(set(KINDS.values()))
        result.sum_lr2 += sum(rates[kind] ** 2 for kind in kinds) / len(kinds)
        progress.add(sums)
        if result.n_updates % settings.snapshot_every == 0:
            self.snapshot("snapshot", progress.epoch)

    def rates(self, update: int) -> dict[str, float]:
        """Learning rate of each kind of parameter at an update, the first one being 0."""
        settings, recipe = self.settings, self.settings.recipe
        rise = min(1.0, (update + 1) / (settings.warm_up + 1))
        base = settings.learning_rate * self.progress.plateau.factor * rise
        other = base * self.factor(update, self.total)
        own = base * self.own_factor(update, self.total)
        return {"other": other} | {kind: own * f for kind, f in recipe.rate_factor.items()}

    def stop(self, found: str, layer: str | None, update: int) -> NoReturn:
        """Save the state after the last whole update, then end a run that cannot recover."""
        epoch = self.progress.epoch
        where = f"training, epoch {epoch}, update {update}" + (f", at {layer}" if layer else "")
        saved = ""
        if self.checkpoints is not None and self.world.is_first:
            # for a person to look at; a restart goes on from the last regular checkpoint
            path = self.checkpoints.save_aside(f"not-finite-{update:09d}", self.state())
            saved = f"; weights and optimiser after the last whole update are in {path}"
        raise InputError(
            where,
            found=found,
            expected="finite numbers",
            remedy=f"lower training.learning_rate, or look at the clips{saved}",
        )

    def measure(self, seconds: float, waited: float) -> None:
        """After an epoch: training and validation figures, best state, a line in the log."""
        progress, result = self.progress, self.result
        if progress.seen == 0:
            raise InputError(
                f"training, epoch {progress.epoch}",
                found="no batch that could be used",
                expected="at least one readable batch of two clips",
                remedy="repair the data set: threetconv data check tells which clips are broken",
            )
        # class weights count in the loss, not in the accuracy
        trained = progress.loss / progress.weight, progress.correct / progress.seen
        measured = {"train": (*trained, int(progress.seen))}
        measured["val"] = evaluate(
            self.network, self.validation, batch_size=64, device=str(self.device), world=self.world
        )
        if not math.isfinite(measured["val"][0]):
            # the update before it broke the network, hence no + 1 here
            self.stop(f"a validation loss of {measured['val'][0]}", None, result.n_updates)
        for split, figures in measured.items():
            progress.rows += _rows(result.n_updates, progress.epoch, split, figures)
        # with every other schedule `Plateau` only counts epochs, for early stopping
        halve_after = self.settings.patience if self.settings.schedule == "plateau" else None
        before = progress.plateau.factor
        if progress.plateau.see(measured["val"][1], halve_after=halve_after):
            result.best_epoch, result.best_step = progress.epoch, result.n_updates
            state = self.network.state_dict()
            # a copy, because training goes on in place; on the CPU, to leave the GPU its memory
            result.best_state = {k: v.detach().cpu().clone() for k, v in state.items()}
            result.snapshots = [s for s in result.snapshots if s.tag != "best"]
            self.snapshot("best", progress.epoch)
        elif progress.plateau.factor < before:
            log.info("no better validation accuracy: the learning rate is halved")
        log.info(
            "epoch %d/%d  update %d/%d  train loss %.3f acc %.3f  val loss %.3f acc %.3f  %.1f s"
            " (%.0f %% waiting for clips)",
            progress.epoch,
            self.settings.epochs,
            result.n_updates,
            self.total,
            *measured["train"][:2],
            *measured["val"][:2],
            seconds,
            100 * waited / seconds,
        )

    def end(self, test: LabelledSet | None) -> Result:
        result, epoch = self.result, self.progress.epoch - 1
        self.snapshot("last", epoch)
        if test is not None:
            # a state dict shares its memory with the network, which now takes the best weights
            last = copy.deepcopy(self.network.state_dict())
            self.network.load_state_dict(result.best_state)
            figures = evaluate(
                self.network, test, batch_size=64, device=str(self.device), world=self.world
            )
            self.network.load_state_dict(last)
            self.progress.rows += _rows(result.best_step, result.best_epoch, "test", figures)
            log.info("test loss %.3f acc %.3f of %d", *figures)
        columns = ["step", "epoch", "split", "metric", "value", "n"]
        result.metrics = pd.DataFrame(self.progress.rows, columns=columns)
        # added to the seconds before the checkpoint, if there was one
        result.seconds += time.perf_counter() - self.started
        return result

    def snapshot(self, tag: str, epoch: int) -> None:
        state, result = temporal_state(self.network), self.result
        # networks without 3T layers (3D and 2D ones) have no temporal parameters
        if state:
            values = state | {f"{name}.walk": q for name, q in self.steps.walks().items()}
            result.snapshots.append(Snapshot(result.n_updates, epoch, tag, result.sum_lr2, values))

    def save_when_due(self) -> None:
        if self.checkpoints is not None and self.world.is_first and self.checkpoints.due():
            self.checkpoints.save(self.result.n_updates, self.state())

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on, and the results so far."""
        rows = [list(row) for row in self.progress.rows]
        return {
            "progress": asdict(self.progress) | {"rows": rows},
            "steps": self.steps.state(),
            # dropout draws from these
            "generator": torch.get_rng_state(),
            "gpu_generators": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "result": state_of(self.result),
            "seconds": self.result.seconds + time.perf_counter() - self.started,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` was."""
        fields = dict(state["progress"])
        fields["plateau"] = Plateau(**fields["plateau"])
        fields["rows"] = [tuple(row) for row in fields["rows"]]
        self.progress = _Progress(**fields)
        self.steps.restore(state["steps"])
        torch.set_rng_state(state["generator"])
        if state["gpu_generators"]:
            torch.cuda.set_rng_state_all(state["gpu_generators"])
        self.result = result_of(state["result"], seconds=state["seconds"])


def _rows(
    step: int, epoch: int, split: str, figures: tuple[float, float, int]
) -> list[tuple[Any, ...]]:
    """Two lines of the metrics table."""
    loss, accuracy, n = figures
    return [(step, epoch, split, "loss", loss, n), (step, epoch, split, "accuracy", accuracy, n)]


def _used_per_epoch(items: int, batch_size: int) -> int:
    """All items, or one less where the last batch would hold a single item (see `fit`)."""
    return items - 1 if items > batch_size > 1 and items % batch_size == 1 else items
