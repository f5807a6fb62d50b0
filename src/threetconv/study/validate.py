"""A study: its configuration checked before anything runs, with every default filled in.

What each key may hold is in `threetconv.study.config`, what values must obey together in
`threetconv.study.rules`, the runs that a study asks for in `threetconv.records.plan`. No torch, no
pandas: a study is planned in a moment.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from threetconv.study.config import Study
from threetconv.study.messages import explained
from threetconv.study.rules import RULES

__all__ = ["validate_study"]

Config = dict[str, Any]
EMBEDDED = "embedded"  # config.yaml


def validate_study(config: Mapping[str, Any]) -> Config:
    """The configuration with every default filled in; it shares nothing with what was given.

    Args:
        config: what the user wrote.

    Raises:
        InputError: at the first thing wrong: an unknown key (with the nearest known one), a wrong
            type, a value out of range, or values that cannot go together.
    """
    try:
        study = Study.model_validate(dict(config))
    except ValidationError as error:
        raise explained(error) from None
    complete: Config = study.model_dump(by_alias=True, exclude_none=True)
    _name_folders(complete)
    for check in RULES:
        check(complete)
    return complete


def _name_folders(config: Config) -> None:
    """Folders that carry the study's name; `EMBEDDED`, which came first, has the plain ones."""
    for kind in ("results", "reports"):
        default = kind if config["study"] == EMBEDDED else f"{kind}/{config['study']}"
        folder = config["output"].setdefault(kind, default)
        # a blank name is left for `check_output` to refuse
        if folder.strip():
            config["output"][kind] = posixpath.normpath(folder)
