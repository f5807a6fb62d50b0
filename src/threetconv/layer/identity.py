"""The transforms of 3T layers at the identity: for good, or for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from threetconv.layer.units import IDENTITY

if TYPE_CHECKING:
    from threetconv.layer.conv3t import Conv3T

__all__ = ["at_identity", "set_identity"]


def set_identity(layer: Conv3T, parameters: Iterable[str] = tuple(IDENTITY)) -> None:
    """Give some temporal parameters of a layer, by default all, the values of the identity."""
    with torch.no_grad():
        for name in parameters:
            getattr(layer, name).fill_(IDENTITY[name])


@contextmanager
def at_identity(
    layers: Iterable[Conv3T], parameters: Iterable[str] = tuple(IDENTITY)
) -> Iterator[None]:
    """`set_identity` of some layers; afterwards they are as before, to the bit."""
    names = tuple(parameters)
    kept = [(layer, {n: getattr(layer, n).detach().clone() for n in names}) for layer in layers]
    try:
        # a change in inference mode would not be counted, and cached filters would be used again
        with torch.inference_mode(False):
            for layer, _ in kept:
                set_identity(layer, names)
        yield
    finally:
        with torch.inference_mode(False), torch.no_grad():
            for layer, values in kept:
                for name, value in values.items():
                    getattr(layer, name).copy_(value)
