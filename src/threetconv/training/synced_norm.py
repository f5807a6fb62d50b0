"""Batch norm over a batch that several processes hold in parts.

Mean, variance and gradients are those of the whole batch: one process with the whole batch and
several with parts of it differ by rounding alone. On GPUs torch's own `nn.SyncBatchNorm` is used;
it refuses CPU tensors, for which the layers here are.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

__all__ = ["gather", "synchronise"]


def gather(own: Tensor) -> Tensor:
    """The vectors of all processes, (size, n), in order of rank; the same bits on all of them."""
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    return torch.stack(parts)


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, by the statistics of all processes.

    x is (N, C, ...); N may differ between processes and be 0. Returns y and, without gradient,
    mean (C,), biased variance (C,) and the number of values per channel, a float64 scalar.

    The gradients of weight and bias are those of this process's part, as those of any layer are:
    `DistributedDataParallel` adds them up.

    Source: Chan, Golub and LeVeque 1979 for the variance of a union; Ioffe and Szegedy 2015 for the
    gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # statistics are per channel, over all other dimensions
        channels, dims = x.shape[1], [0, *range(2, x.ndim)]
        wide = torch.promote_types(x.dtype, torch.float32)  # float32 for half precision
        # [n, mean (C,), biased variance (C,)] of this part, sent in one exchange; all 0 for an
        # empty part, which then has no weight in the sums below
        own = torch.zeros(1 + 2 * channels, dtype=torch.float64, device=x.device)
        if x.numel():
            variance, mean = torch.var_mean(x.to(wide), dims, correction=0)
            own[0] = x.numel() // channels
            own[1 : channels + 1], own[channels + 1 :] = mean, variance
        n, means, variances = gather(own).split([1, channels, channels], dim=1)
        count = n.sum()
        mean = (n * means).sum(0) / count
        # variance of the union: variance within the parts plus variance between their means
        variance = (n * (variances + (means - mean) ** 2)).sum(0) / count
        inverse = torch.rsqrt(variance + eps).to(wide)
        mean, variance = mean.to(wide), variance.to(wide)
        ctx.save_for_backward(x, weight, mean, inverse, count)
        ctx.eps = eps
        # the gradient through mean and variance is in `backward` already
        ctx.mark_non_differentiable(mean, variance, count)
        # not in training mode: it normalises by the statistics that it is given
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse, count = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        channels = x.shape[1]
        own = torch.zeros(2 * channels, dtype=torch.float64, device=x.device)
        if x.numel():  # sums over this part of gradient * normalised x, and of gradient
            _, own[:channels], own[channels:] = torch.ops.aten.native_batch_norm_backward(
                gradient, x, weight, None, None, mean, inverse, True, ctx.eps, [False, True, True]
            )
        # means over the whole batch of gradient * normalised x (`along`) and of gradient (`level`)
        means = gather(own).sum(0) / count
        along, level = means.to(mean.dtype).split(channels)
        factor = inverse if weight is None else inverse * weight
        shape = [1, channels] + [1] * (x.ndim - 2)
        change = x - mean.view(shape)  # then (gradient - level - normalised x * along) * factor
        change *= (-inverse * along * factor).view(shape)
        change.addcmul_(gradient.to(change.dtype), factor.view(shape))
        change -= (level * factor).view(shape)
        # not gathered: gradients of weight and bias are those of this part, see the class
        slopes = (None, None) if weight is None else own.to(weight.dtype).split(channels)
        return change.to(x.dtype), *slopes, None


class _Synced(_BatchNorm):
    """Batch norm over the batch of all processes in training; plain in evaluation or alone."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, ...); N may differ between processes."""
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        self._check_input_dim(x)
        y, mean, variance, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        n = float(count)
        if n <= 1:
            raise ValueError(f"{n:.0f} values per channel; batch norm trains on more than one")
        with torch.no_grad():
            # Bessel's correction, as torch's own batch norm: running variances are unbiased
            self._follow(mean, variance * (n / (n - 1)))
        return y

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch; the variance is unbiased."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None  # torch makes all three or none
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # the plain average over all batches so far
            share = 1 / float(self.num_batches_tracked)
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            running.mul_(1 - share).add_(value, alpha=share)


class _Synced1d(_Synced, nn.BatchNorm1d):
    pass


class _Synced2d(_Synced, nn.BatchNorm2d):
    pass


class _Synced3d(_Synced, nn.BatchNorm3d):
    pass


_SYNCED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _Synced1d,
    nn.BatchNorm2d: _Synced2d,
    nn.BatchNorm3d: _Synced3d,
}
_DONE = (*_SYNCED.values(), nn.SyncBatchNorm)


def synchronise(network: nn.Module, device: torch.device) -> None:
    """Make every batch norm of a network synchronised, in place.

    Parameters, buffers and the keys of the state dict stay what they are, and so does evaluation.
    Every process must run the same layers in the same order.

    Args:
        network: a network that has its batch norms inside it, not one batch norm alone.
        device: where it trains.

    Raises:
        TypeError: a norm with running statistics of a kind that cannot be synchronised; left as it
            is, every process would keep statistics of its own.
    """
    for name, module in network.named_modules():
        if type(module) in _SYNCED:
            if device.type == "cpu":
                # the class alone changes: parameters, buffers and hooks stay the same objects
                module.__class__ = _SYNCED[type(module)]
        elif (
            isinstance(module, _NormBase)
            and module.track_running_stats
            and not isinstance(module, _DONE)
        ):
            raise TypeError(
                f"{name}: {type(module).__name__} keeps running statistics that several processes "
                f"cannot share; use {', '.join(norm.__name__ for norm in _SYNCED)} or one process"
            )
    if device.type != "cpu":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
