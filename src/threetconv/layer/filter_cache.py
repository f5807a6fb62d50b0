"""A cache of built filters, valid until a parameter or an option changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from threetconv.layer.build_filters import build_filters, is_eager

__all__ = ["FilterCache", "cached_filters", "may_cache"]


@dataclass(frozen=True)
class FilterCache:
    """Filters, and what they were built from.

    Attributes:
        parameters: copies, to compare with.
        options: how the filters were built.
        filters: the filters.
        version: the filters' version counter at that time; an in-place change increases it.
    """

    parameters: tuple[Tensor, ...]
    options: dict[str, Any]
    filters: Tensor
    version: int


def may_cache(parameters: tuple[Tensor, ...]) -> bool:
    """Whether filters built now can be reused: no gradient must flow to the parameters."""
    if any(parameter.is_meta for parameter in parameters):  # without numbers to compare
        return False
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
        return False
    return is_eager(parameters)


def cached_filters(
    cache: FilterCache | None, parameters: tuple[Tensor, ...], options: dict[str, Any]
) -> FilterCache:
    """The same cache while parameters, options and filters are unchanged; else a new one.

    Parameters are compared number by number. Version counters would be quicker, but fused
    optimisers, ``parameter.data`` and NumPy views change numbers without counting.

    Args:
        cache: from an earlier call.
        parameters, options: `build_filters`'s.
    """
    if (
        cache is not None
        and cache.options == options
        and cache.filters._version == cache.version
        and all(map(_same, cache.parameters, parameters))
    ):
        return cache
    # built under inference mode, the filters could not be used in a later call with autograd
    with torch.inference_mode(False), torch.no_grad():
        kept = tuple(parameter.detach().clone() for parameter in parameters)
        filters = build_filters(*kept, **options)
    return FilterCache(kept, options, filters, filters._version)


def _same(one: Tensor, other: Tensor) -> bool:
    alike = one.dtype == other.dtype and one.device == other.device
    return alike and torch.equal(one, other)
