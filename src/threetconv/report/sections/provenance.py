"""Where the numbers come from: code, versions, configuration."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import yaml

from threetconv.report import formats
from threetconv.report.document import Block, Code, Details, Facts, Paragraph, Section, escape
from threetconv.report.inputs import Inputs

__all__ = ["section"]


def section(inputs: Inputs) -> Section:
    """Facts, versions and the configuration."""
    facts = [(escape(k), escape(v)) for k, v in inputs.provenance.items()]
    facts += [
        (name, ", ".join(f"`{shown(v)}`" for v in inputs.distinct(column)[:4]))
        for column, name in (
            ("git_sha", "Git commit of the runs"),
            ("source", "Origin of the runs"),
        )
        if inputs.distinct(column)
    ]
    facts += versions(inputs.runs)
    blocks: list[Block] = []
    if facts:
        blocks.append(Facts(facts))
    if inputs.config:
        text = yaml.safe_dump(jsonable(inputs.config), sort_keys=False, allow_unicode=True)
        blocks.append(Details("Configuration of this study (YAML)", [Code(text, "yaml")]))
    else:
        blocks.append(Paragraph("The configuration of the study was not handed to the report."))
    return Section("Provenance", blocks)


def shown(value: str) -> str:
    """A value inside code marks: no backticks of its own."""
    return value.replace("`", "'")


def versions(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """Versions of the software that trained the runs, from the JSON in the runs table."""
    if "versions" not in runs:
        return []
    found: dict[str, set[str]] = {}
    for raw in {str(v) for v in runs["versions"].dropna()}:
        try:
            # A record may hold plain text instead.
            entries = json.loads(raw)
        except json.JSONDecodeError:
            entries = {"versions": raw}
        if not isinstance(entries, dict):
            entries = {"versions": raw}
        for name, version in entries.items():
            found.setdefault(str(name), set()).add(str(version))
    if not found:
        return []
    listed = "; ".join(f"{name} {', '.join(sorted(v))}" for name, v in sorted(found.items()))
    return [("Software of the runs", escape(listed or formats.DASH))]


def jsonable(value: Any) -> Any:
    """Plain types only, so that any mapping can be written as YAML."""
    # yaml.safe_dump refuses paths, tuples and NumPy numbers.
    return json.loads(json.dumps(value, default=str))
