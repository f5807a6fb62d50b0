"""Filters cached between evaluations, for as long as nothing they depend on changes."""

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
        parameters: held, so that no other tensor can take their place in memory unnoticed.
        state: of the parameters and the options, when the filters were built.
        filters: the filters.
        version: of the filters, then; it grows when somebody changes them in place.
    """

    parameters: tuple[Tensor, ...]
    state: tuple[Any, ...]
    filters: Tensor
    version: int


def may_cache(parameters: tuple[Tensor, ...]) -> bool:
    """Whether filters built now can serve another call: no gradient by parameters can follow."""
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
        return False
    if any(parameter.is_inference() for parameter in parameters):  # changes to them are not counted
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
    state = (
        *((id(p), p._version, p.data_ptr(), p.dtype, p.device, p.stride()) for p in parameters),
        *options.values(),
    )
    if cache is not None and cache.state == state and cache.filters._version == cache.version:
        return cache
    with torch.inference_mode(False), torch.no_grad():  # so that any later call can use them
        filters = build_filters(*parameters, **options)
    return FilterCache(parameters, state, filters, filters._version)
