"""What a check of a data set reports: findings, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import pandas as pd

from threetconv.errors import InputError

__all__ = ["ORDER", "Finding", "adapter_finding", "findings_table"]

ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One line of a check.

    Attributes:
        severity: error, warning or note.
        check: what was looked at.
        split: where; two splits as "train + val"; empty for the whole set.
        count: of clips (or of classes, groups, lists: `found` says which).
        found: in words.
        examples: a few of them; of unreadable clips all, each on a line of its own.
        remedy: what to do.
        dataset: name of the data set.
    """

    severity: str
    check: str
    split: str
    count: int
    found: str
    examples: str
    remedy: str
    dataset: str = ""


def findings_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """One row per finding, errors first; columns are the attributes, dataset at the front."""
    columns = ["dataset", *(field.name for field in fields(Finding) if field.name != "dataset")]
    # a stable sort keeps the order of the checks within a severity
    ordered = sorted(findings, key=lambda f: ORDER[f.severity])
    return pd.DataFrame([asdict(finding) for finding in ordered], columns=columns)


def adapter_finding(error: InputError) -> Finding:
    """What an adapter refused, as a finding."""
    found = f"{error.found} (expected: {error.expected})"
    return Finding("error", "lists and folders", "", 1, found, error.where, error.remedy)
