"""What a study is going to test, written down and hashed before anything is trained.

The first plan is kept: when the configuration changes later, the file lists what differs from it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from threetconv.errors import InputError
from threetconv.records.plan import plan_runs
from threetconv.statistics.tests.families import FAMILIES
from threetconv.support.files import write_text

__all__ = ["AGAINST", "PRIMARY", "analysis_plan", "plan_sha256", "read_plan", "write_plan"]

AGAINST = ["label-shuffled", "static"]
"""Negative controls that primary endpoints are compared with."""
PRIMARY = {
    "tuning agreement": "Spearman correlation over channels of each parameter with each measured "
    "tuning (4 x 4), first layer: mean of the diagonal minus the mean size (absolute value) of the "
    "other entries; exchanged channels, printed beside, give a value below 0, so that the test "
    "against zero is conservative",
    "reproducibility": "share of signed variance (intraclass correlation) that the same channel "
    "has in common between runs: within a data set minus between data sets; of pretrained runs, "
    "pooled over networks, since scratch runs have no channels in common",
    "direction use": "accuracy on clips played forwards minus on the same clips played backwards, "
    "by data set, pooled over its networks without an order leak",
}
SECONDARY = {
    "displacement": "D = ln mean |z| over reachable rows since the start of training, for s, r, px "
    "and py, at matched noise budgets (confirmatory) and at the best checkpoint (replication)",
    "displacement, jointly": "the four parameters together, permuted with the runs",
    "displacement by depth": "mean D of the first half of the layers minus that of the second half",
}
EXCLUSIONS = [
    "a run whose parameters are not finite stops the analysis; it is not left out",
    "a block without runs of both arms is left out, and named",
    "runs of which nothing moved (D = -inf) make a test degenerate; they are not left out",
    "arms without snapshots of equal noise budget (within 1 %) are not tested as matched",
]
SETTINGS = ("seed", "width", "symmetric_time", "weights_2d", "recipes", "statistics")
OF_THE_MACHINE = ("device", "runs_per_job")  # no number depends on them


def analysis_plan(study: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of a validated study: endpoints, families, tests, runs, exclusions, settings.

    Endpoints are named and defined here; the modules that compute them follow these definitions.
    """
    cells = Counter(
        "-".join(part for part in run.run_id.split("-")[:-1]) for run in plan_runs(study)
    )
    statistics = study["statistics"]
    training = {k: v for k, v in study["training"].items() if k not in OF_THE_MACHINE}
    return {
        "primary endpoints": {
            name: {"definition": text, "difference against controls": AGAINST}
            for name, text in PRIMARY.items()
        },
        "secondary endpoints": SECONDARY,
        "families": {
            name: {
                "factor": family.factor,
                "blocks": list(family.blocks),
                "moderator": family.moderator,
            }
            for name, family in FAMILIES.items()
        },
        "tests": {
            "unit": "training run",
            "method": "permutation of run labels within blocks, studentised where arms differ in "
            "size; two-sided",
            "adjustment": "Holm over four parameters of a contrast, checkpoint and stratum; "
            "Benjamini-Hochberg over layers; joint tests are one test each; primary endpoints "
            "(direction use: of each data set) are compared with each control (two-sided, primary) "
            "and with zero (one-sided, secondary), without adjustment over endpoints, data sets "
            "or comparisons",
            "alpha": statistics["alpha"],
            "equivalence ratio": statistics["equivalence_ratio"],
        },
        "runs per cell": dict(sorted(cells.items())),
        "clips": {
            name: {key: dataset.get(key) for key in ("clip", "max_bad_share", "on_bad_clip")}
            for name, dataset in study["datasets"].items()
        },
        "exclusions": EXCLUSIONS,
        "settings": {name: study[name] for name in SETTINGS if name in study}
        | {"training": training},
    }


def plan_sha256(plan: Mapping[str, Any]) -> str:
    """SHA-256 over the plan as canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_plan(path: str | Path, plan: Mapping[str, Any], *, trained: bool) -> dict[str, Any]:
    """Write the plan, or what the present one changes in the plan that was written first.

    Args:
        path: JSON file; one that is there keeps its plan, hash and date.
        plan: from `analysis_plan`.
        trained: whether a run was finished before now; told where the plan is new.

    Returns:
        What the file holds: `sha256`, `written` (UTC), `before_training`, `plan`, `deviations`
        (each with key, planned, now, noticed).
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    plan = json.loads(json.dumps(plan))  # as it will be read again
    path = Path(path)
    if path.is_file():
        content = read_plan(path)
    else:
        content = {
            "sha256": plan_sha256(plan), "written": now, "before_training": not trained,
            "plan": plan, "deviations": [],
        }  # fmt: skip
    noticed = {(d["key"], str(d["now"])): d["noticed"] for d in content["deviations"]}
    first, present = dict(_flat(content["plan"])), dict(_flat(plan))
    content["deviations"] = [
        {
            "key": key, "planned": first.get(key), "now": present.get(key),
            "noticed": noticed.get((key, str(present.get(key))), now),
        }
        for key in sorted({*first, *present})
        if first.get(key) != present.get(key)
    ]  # fmt: skip
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return content


def read_plan(path: str | Path) -> dict[str, Any]:
    """The content of a plan's file.

    Raises:
        InputError: for a file that is no plan, or whose plan does not have the hash beside it.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        wrong = plan_sha256(content["plan"]) != content["sha256"]
        known = content["written"], content["deviations"], content["before_training"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            path,
            found=f"no analysis plan ({error})",
            expected="the file as it was written before training",
            remedy="restore it; deleted, it is written anew, and is then later than training",
        ) from error
    if wrong or None in known:
        raise InputError(
            path,
            found="a plan that does not have the hash that stands beside it",
            expected="the plan as it was written before training",
            remedy="restore the file; changes of the configuration are noted in it by themselves",
        )
    return dict(content)


def _flat(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """(dotted key, value) of everything that is no mapping."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
