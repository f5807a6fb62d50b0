"""Filters kept from one evaluation to the next, for as long as nothing they depend on changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from threetconv.layer.build_filters import build_filters, is_eager

__all__ = ["Kept", "keep", "may_keep"]


@dataclass(frozen=True)
class Kept:
    """Filters, and what they were built from.

    Attributes:
        parameters: held, so that no other tensor can take their place in memory unnoticed.
        state: of the parameters and the options, when the filters were built.
        filters: the filters.
        version: of the filters, then.
    """

    parameters: tuple[Tensor, ...]
    state: tuple[Any, ...]
    filters: Tensor
    version: int


def may_keep(parameters: tuple[Tensor, ...]) -> bool:
    """Whether filters built now may serve another call: nobody asks for gradients by parameters."""
    if torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters):
        return False
    if any(parameter.is_inference() for parameter in parameters):  # changes to them are not counted
        return False
    return is_eager(parameters)


def keep(kept: Kept | None, parameters: tuple[Tensor, ...], options: dict[str, Any]) -> Kept:
    """The filters kept already, if they are those of the parameters as they stand; else new ones.

    Args:
        kept: from an earlier call.
        parameters, options: `build_filters`'s.
    """
    state = (
        *((id(p), p._version, p.data_ptr(), p.dtype, p.device, p.stride()) for p in parameters),
        *options.values(),
    )
    if kept is not None and kept.state == state and kept.filters._version == kept.version:
        return kept
    with torch.inference_mode(False), torch.no_grad():  # so that any later call can use them
        filters = build_filters(*parameters, **options)
    return Kept(parameters, state, filters, filters._version)
