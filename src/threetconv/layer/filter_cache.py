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
        parameters: references that keep them alive: `id` and address cannot be reused by others.
        state: identity and version of the parameters, and the options, at the time of building.
        filters: the filters.
        version: the filters' version counter at that time; an in-place change increases it.
    """

    parameters: tuple[Tensor, ...]
    state: tuple[Any, ...]
    filters: Tensor
    version: int


def may_cache(parameters: tuple[Tensor, ...]) -> bool:
    """Whether filters built now can be reused: no gradient must flow to the parameters."""
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
        return False
    # inference tensors have no version counter, so changes to them would go unnoticed
    if any(parameter.is_inference() for parameter in parameters):
        return False
    return is_eager(parameters)


def cached_filters(
    cache: FilterCache | None, parameters: tuple[Tensor, ...], options: dict[str, Any]
) -> FilterCache:
    """The same cache while parameters, options and filters are unchanged; else a new one.

    Args:
        cache: from an earlier call.
        parameters, options: `build_filters`'s.
    """
    # `_version` counts in-place changes; the address notices `parameter.data = other`
    state = (
        *((id(p), p._version, p.data_ptr(), p.dtype, p.device, p.stride()) for p in parameters),
        *options.values(),
    )
    if cache is not None and cache.state == state and cache.filters._version == cache.version:
        return cache
    # built under inference mode, the filters could not be used in a later call with autograd
    with torch.inference_mode(False), torch.no_grad():
        filters = build_filters(*parameters, **options)
    return FilterCache(parameters, state, filters, filters._version)
