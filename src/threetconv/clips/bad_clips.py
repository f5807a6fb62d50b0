"""Clips that cannot be read: stop at the first, or skip and list them up to a limit."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from threetconv.errors import InputError, look_up

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CEILING", "POLICIES", "BadClips", "clips_of_run"]

log = logging.getLogger(__name__)

POLICIES = {
    "fail": "stop at the first clip that cannot be read",
    "skip": "leave such clips out, each with a warning, up to a ceiling",
}
CEILING = 0.01
"""Share of the clips that may be skipped unless another is given."""
LISTED = 10
"""How many clips the message about too many names."""


class BadClips:
    """What is done about clips that cannot be read, and which they were.

    Args:
        policy: name in `POLICIES`.
        total: number of clips that `ceiling` is a share of, such as all of a table.
        ceiling: greatest share of `total` that may be skipped, in [0, 1].
        found: clips found before (path -> what was found), as of a checkpoint or another step.
            They are skipped without another try, so that work goes on as it began.

    Attributes:
        found: path -> what was found, in the order of finding.

    Raises:
        InputError: an unknown policy.
        ValueError: `ceiling` or `total` out of range.
    """

    def __init__(
        self,
        policy: str = "fail",
        *,
        total: int,
        ceiling: float = CEILING,
        found: Mapping[str, str] | None = None,
    ) -> None:
        look_up(POLICIES, policy, what="on_bad_clip")
        if total < 0 or not 0 <= ceiling <= 1:
            raise ValueError(f"bad total {total} or ceiling {ceiling}")
        self.policy, self.total, self.ceiling = policy, total, ceiling
        self.found: dict[str, str] = dict(found or {})

    @property
    def allowed(self) -> int:
        """How many different clips may be skipped."""
        return math.floor(self.ceiling * self.total + 1e-9)  # 0.29 * 100 is 28.999999999999996

    def report(self, path: str, error: InputError) -> None:
        """Say that a clip cannot be read; returns when it is to be skipped.

        Args:
            path: the clip's path in its table.
            error: what reading it raised.

        Raises:
            InputError: `error` itself under "fail"; under "skip" one that lists the clips, when
                they are more than `allowed`.
        """
        if self.policy == "fail":
            raise error
        # met again in a later epoch or by another reader; one warning is enough
        if path in self.found:
            return
        what = error.found if error.where == path else f"{error.where}: {error.found}"
        self.found[path] = what
        log.warning("%s: skipped, %s", path, what)
        if len(self.found) > self.allowed:
            raise self._too_many() from error

    def _too_many(self) -> InputError:
        # the newest, as earlier ones are in the log
        newest = list(self.found.items())[-LISTED:]
        lines = [f"{path} ({what})" for path, what in newest]
        if len(self.found) > LISTED:
            lines.append(f"and {len(self.found) - LISTED:,} more, each with a warning in the log")
        return InputError(
            "bad clips",
            found=f"{len(self.found):,} of {self.total:,} clips cannot be read:\n    "
            + "\n    ".join(lines),
            expected=f"at most {self.allowed:,} ({self.ceiling:.3%} of the clips)",
            remedy="repair these clips or take them out of the dataset (`threetconv data check` "
            "finds all of them), or raise the ceiling if so many may be missing",
        )

    def table(self) -> pd.DataFrame:
        """The clips found, sorted by path: columns path, found (strings)."""
        import pandas as pd  # slow to import

        rows = sorted(self.found.items())
        return pd.DataFrame(rows, columns=["path", "found"], dtype="str")


def clips_of_run(table: pd.DataFrame, document: Mapping[str, Any], *, split: str) -> pd.DataFrame:
    """The clips of a split that a run has seen: all but those that it skipped.

    Args:
        table: clip table of the run's data set, whole: without a column ``row``, a clip's place in
            it is taken to be its place in a packed array, and becomes that column.
        document: the run's record (`threetconv.records.run_folder.read_run`).
        split: of which split.

    Raises:
        InputError: no such clips.
    """
    # before rows are filtered out, while position and entry still agree
    table = table if "row" in table else table.assign(row=range(len(table)))
    shown = table[table["split"] == split]
    shown = shown[~shown["path"].isin(list(document.get("bad_clips", {})))]
    if shown.empty:
        raise InputError(
            "clip table",
            found=f"no clips of split {split!r} that can be read",
            expected="clips to show to the network",
            remedy="name a split that the table has",
        )
    return shown
