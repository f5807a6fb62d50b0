"""One update of a network by Adam, from a batch in parts and on several processes."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from threetconv.errors import look_up
from threetconv.layer.units import IDENTITY
from threetconv.training.distributed import World, prepare, scale
from threetconv.training.evaluate import outputs
from threetconv.training.loss import CLASS_WEIGHTS, summed_loss
from threetconv.training.not_finite import bad_gradient, bad_output, gradients_are_finite
from threetconv.training.recipes import KINDS, parameter_groups, temporal_parameters
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
        # `step` sets the rates of each update; fused: one kernel for all parameters of a group.
        # decoupled: AdamW, which without weight decay is Adam
        groups = parameter_groups(
            network, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._optimiser = torch.optim.Adam(groups, fused=True, decoupled_weight_decay=True)
        self._walks = Walks(network, self._optimiser)
        # bfloat16 has the range of float32 and needs no loss scaling
        self._scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self._skipped = 0

    def step(
        self, batches: list[tuple[Tensor, Tensor]], labels: np.ndarray, rates: Mapping[str, float]
    ) -> Sums:
        """One step of Adam on the mean loss of a batch; all sums are 0 where nothing was readable.

        Args:
            batches: this process's parts of the batch, (inputs, labels) each.
            labels: of the whole batch, as planned; items may be missing from the parts.
            rates: learning rate of each kind of parameter: other, scale, rotate, translate.

        Raises:
            NotFiniteError: before parameters are touched.
        """
        self._model.train()
        for parameters in self._optimiser.param_groups:
            parameters["lr"] = rates[parameters["kind"]]
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
        finite = self._demand_finite_gradients()
        if finite and self._settings.clip_gradient is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.clip_gradient)
        # where a gradient is inf or NaN (float16), this leaves the step out and `update` halves the
        # scale
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if finite:
            self._walks.add(rates, self._settings.recipe.decay)
        return sums

    def walks(self) -> dict[str, np.ndarray]:
        """Copies of what `Walks` has added up so far."""
        return self._walks.arrays()

    def state(self) -> dict[str, Any]:
        """What the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "skipped": self._skipped,
            "walks": self._walks.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` was."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        self._skipped = state["skipped"]
        self._walks.restore(state["walks"])

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
            smoothing = self._settings.label_smoothing
            loss = summed_loss(logits, labels, self._weights, smoothing)
            # `loss` stays that of the main head, to compare with validation; `objective` is
            # minimised
            objective = loss
            for head in auxiliary:
                part = summed_loss(head, labels, self._weights, smoothing)
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

    def _demand_finite_gradients(self) -> bool:
        """Whether they are; some updates that overflow are allowed in float16."""
        if gradients_are_finite(self.network):
            self._skipped = 0
            return True
        self._skipped += 1
        # float16 may overflow while GradScaler lowers its scale; that many in a row is divergence
        if not self._scaler.is_enabled() or self._skipped > SKIPPED_AT_MOST:
            raise NotFiniteError("a gradient that is not finite", bad_gradient(self.network))
        return False


class Walks:
    """How far noise alone would have carried each temporal parameter, by the updates so far.

    Adam moves a parameter by lr m / sqrt(v). Where gradients g are independent noise, these steps
    add up to a random walk of variance Q = sum (k lr)^2 g^2 / v, which is added up here for every
    entry; k is `weight_of_gradient`, 1 after the first updates. Under a constant size of the
    gradients Q is about the sum of lr^2; where gradients fade, v remembers larger ones, and the
    walk is shorter than that.

    Args:
        network: on its device.
        optimiser: Adam over its parameters.
    """

    def __init__(self, network: nn.Module, optimiser: torch.optim.Adam) -> None:
        self._optimiser = optimiser
        found = temporal_parameters(network)
        self._names = [f"{layer}.{name}" for layer, name, _ in found]
        self._kinds = [KINDS[name] for _, name, _ in found]
        self._identity = [IDENTITY[name] for _, name, _ in found]
        self._parameters = [parameter for _, _, parameter in found]
        self._sums = [torch.zeros_like(parameter) for parameter in self._parameters]

    def add(self, rates: Mapping[str, float], decay: float) -> None:
        """Count the update that was just made; pull transforms to the identity by `decay`."""
        (momentum, beta), eps = (self._optimiser.defaults[name] for name in ("betas", "eps"))
        for parameter, total, kind, identity in zip(
            self._parameters, self._sums, self._kinds, self._identity, strict=True
        ):
            state = self._optimiser.state.get(parameter)
            if state is None or parameter.grad is None:  # frozen
                continue
            step = float(state["step"])
            size = (state["exp_avg_sq"] / (1 - beta**step)).sqrt_().add_(eps)
            weight = weight_of_gradient(int(step), momentum)
            total.add_((parameter.grad / size).square_(), alpha=(weight * rates[kind]) ** 2)
            if decay:
                with torch.no_grad():
                    parameter.lerp_(torch.full_like(parameter, identity), decay * rates[kind])

    def arrays(self) -> dict[str, np.ndarray]:
        """ "<layer>.<parameter>" -> Q, (D - 1, out) float32."""
        return {
            name: total.float().cpu().numpy().copy()
            for name, total in zip(self._names, self._sums, strict=True)
        }

    def state(self) -> list[Tensor]:
        """What `restore` needs."""
        return self._sums

    def restore(self, state: list[Tensor]) -> None:
        """Go on from a `state`."""
        for total, saved in zip(self._sums, state, strict=True):
            total.copy_(saved)


@functools.lru_cache(maxsize=4096)
def weight_of_gradient(step: int, momentum: float) -> float:
    """How much the gradient of one update counts in all later values of Adam's corrected m.

    The average m starts at 0 and is divided by 1 - momentum^step, so that the first gradients count
    more than once: the first one 3 times, the tenth 1.25 times. Tends to 1.

    Args:
        step: number of the update, from 1.
        momentum: Adam's beta1.
    """
    later = range(int(math.log(1e-6) / math.log(momentum)) + 1) if momentum else [0]
    return (1 - momentum) * sum(momentum**k / (1 - momentum ** (step + k)) for k in later)
