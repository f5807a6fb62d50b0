"""One update of a network by Adam, from a batch in parts and on several processes."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from threetconv.errors import look_up
from threetconv.training.distributed import World, prepare, scale
from threetconv.training.evaluate import outputs
from threetconv.training.loss import CLASS_WEIGHTS, summed_loss
from threetconv.training.not_finite import bad_gradient, bad_output, gradients_are_finite
from threetconv.training.settings import PRECISIONS, Group, Settings

__all__ = ["NotFiniteError", "Steps", "Sums", "parts_of"]

log = logging.getLogger(__name__)

# float16 updates left out in a row; GradScaler starts at a scale of 2^16 and halves it each time
SKIPPED_AT_MOST = 20


class NotFiniteError(ArithmeticError):
    """A loss or a gradient that is not finite.

    Args:
        found: what it is.
        layer: where it arose, if that is known.
    """

    def __init__(self, found: str, layer: str | None) -> None:
        self.found, self.layer = found, layer
        super().__init__(f"{found} at {layer}" if layer else found)


class Sums(NamedTuple):
    """Sums over the items of a batch: weight times loss, weight, correct answers, number."""

    loss: float
    weight: float
    correct: float
    seen: float


def parts_of(group: Group, micro_batch: int | None) -> list[Group]:
    """A batch cut into parts of at most `micro_batch` items, of sizes that differ by one at most.

    Only a batch of one item gives a part of one item, because batch norm over a single value has
    no variance. To avoid such parts, some get one or two items more than `micro_batch`.
    """
    size = micro_batch or len(group)
    parts = min(math.ceil(len(group) / size), max(1, len(group) // 2))
    return np.array_split(group, parts)


class Steps:
    """Network, optimiser and loss scaling: what one update needs and changes.

    Args:
        network: on its device; its batch norms are changed in place where there are several
            processes.
        settings: of the run.
        labels: class indices of the training set.
        device: of this process.
        world: the processes.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: Settings,
        *,
        labels: np.ndarray,
        device: torch.device,
        world: World,
    ) -> None:
        self._dtype = look_up(PRECISIONS, settings.precision, what="precision")
        self._weights = look_up(CLASS_WEIGHTS, settings.class_weights, what="class weights")(labels)
        self._settings, self._device, self._world = settings, device, world
        self.network, self._model = network, prepare(network, world)  # the same parameters
        # `step` sets the rate of each update; fused: one kernel for all parameters
        self._optimiser = torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, fused=True
        )
        # bfloat16 has the range of float32 and needs no loss scaling
        self._scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self._skipped = 0

    def step(self, batches: list[tuple[Tensor, Tensor]], labels: np.ndarray, rate: float) -> Sums:
        """One step of Adam on the mean loss of a batch; all sums are 0 where nothing was readable.

        Args:
            batches: this process's parts of the batch, (inputs, labels) each.
            labels: of the whole batch, as planned; items may be missing from the parts.
            rate: the learning rate.

        Raises:
            NotFiniteError: before parameters are touched.
        """
        self._model.train()
        for parameters in self._optimiser.param_groups:
            parameters["lr"] = rate
        self._optimiser.zero_grad(set_to_none=True)
        planned, parts = self._weight_of(torch.from_numpy(labels)), np.zeros(4)
        # sizes of the parts over all processes: a part is left out by all of them or by none, or
        # those that run it would wait for the others for ever
        sizes = self._world.total(*(len(its_labels) for _, its_labels in batches))
        least = min(2, len(labels))  # batch norm over one value has no variance
        if any(0 < size < least for size in sizes):
            log.warning("a batch of which one clip alone could be read is left out")
        kept = [part for part, size in zip(batches, sizes, strict=True) if size >= least]
        for number, (inputs, its_labels) in enumerate(kept):
            # gradients are exchanged in the last backward pass only: that sends the sum over all
            # parts
            last = number == len(kept) - 1
            parts += self._add_gradients(inputs, its_labels, planned, synchronise=last)
        sums = Sums(*self._world.total(*parts))
        if not sums.seen:
            return sums
        # before gradients are rescaled and checked (does nothing unless the precision is float16)
        self._scaler.unscale_(self._optimiser)
        # losses were divided by the planned weight, too much where clips were unreadable
        if sums.weight != planned:
            for parameter in self.network.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(planned / sums.weight)
        self._demand_finite_gradients()
        # where a gradient is inf or NaN (float16), this leaves the step out and `update` halves the
        # scale
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return sums

    def state(self) -> dict[str, Any]:
        """What the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "skipped": self._skipped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` was."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        self._skipped = state["skipped"]

    def _add_gradients(
        self, inputs: Tensor, labels: Tensor, planned: float, *, synchronise: bool
    ) -> np.ndarray:
        """Add a part's gradients; returns its `Sums` as an array."""
        inputs, labels = inputs.to(self._device), labels.to(self._device)
        if not synchronise and self._world.size > 1:
            with self._model.no_sync():  # type: ignore[operator]
                return self._backward(inputs, labels, planned)
        return self._backward(inputs, labels, planned)

    def _backward(self, inputs: Tensor, labels: Tensor, planned: float) -> np.ndarray:
        with torch.autocast(
            self._device.type, self._dtype or torch.bfloat16, enabled=self._dtype is not None
        ):
            logits, *auxiliary = outputs(self._model(inputs))
            loss = summed_loss(logits, labels, self._weights)
            # `loss` stays that of the main head, to compare with validation; `objective` is
            # minimised
            objective = loss
            for head in auxiliary:
                part = summed_loss(head, labels, self._weights)
                objective = objective + self._settings.auxiliary_weight * part
        value = float(objective.detach())
        if not math.isfinite(value):
            # running the network once more needs all processes, as batch norm does; only this one
            # knows of the failure
            alone = self._world.size == 1
            layer = bad_output(self.network, inputs) if alone else None
            raise NotFiniteError(f"a loss of {value}", layer)
        # divided by the weight of the whole batch, so that gradients of parts add up to the mean's
        self._scaler.scale(scale(objective, planned, self._world)).backward()
        correct = int((logits.argmax(1) == labels).sum())
        return np.array([float(loss.detach()), self._weight_of(labels), correct, len(labels)])

    def _weight_of(self, labels: Tensor) -> float:
        if self._weights is None:
            return float(len(labels))
        # the class weights stay on the CPU, as the planned labels do
        return float(self._weights[labels.cpu()].double().sum())

    def _demand_finite_gradients(self) -> None:
        if gradients_are_finite(self.network):
            self._skipped = 0
            return
        self._skipped += 1
        # float16 may overflow while GradScaler lowers its scale; that many in a row is divergence
        if not self._scaler.is_enabled() or self._skipped > SKIPPED_AT_MOST:
            raise NotFiniteError("a gradient that is not finite", bad_gradient(self.network))
