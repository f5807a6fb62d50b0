"""The explorer: one self-contained page in which a person looks at what each channel learned."""

from __future__ import annotations

from threetconv.explorer.page import explorer
from threetconv.explorer.variant import Variant

__all__ = ["Variant", "explorer"]
