"""The analysis plan: hashed once, kept, and what changes later is listed."""

from __future__ import annotations

import hashlib
import json

import pytest

from threetconv.errors import InputError
from threetconv.report.content import build_document
from threetconv.report.document import Paragraph
from threetconv.statistics.analysis_plan import analysis_plan, plan_sha256, read_plan, write_plan
from threetconv.study.validate import validate_study

TRAINING = {"epochs": 2, "batch_size": 8, "learning_rate": {"3t": 0.001}}
CLIP = {"frames": 8, "height": 32, "width": 32}
STUDY = {
    "study": "s",
    "seed": 1,
    "networks": ["resnet18"],
    "datasets": {"mine": {"adapter": "folder", "root": "x", "clip": CLIP}},
    "variants": [{"init": "scratch", "convolution": "3t"}],
    "replicates": 3,
    "training": TRAINING,
}


def plan_of(**changes):
    return analysis_plan(validate_study(STUDY | changes))


def test_the_hash_is_that_of_canonical_json():
    assert plan_sha256({"b": 1, "a": "\N{GREEK SMALL LETTER ALPHA}"}) == (
        hashlib.sha256('{"a":"\u03b1","b":1}'.encode()).hexdigest()
    )
    assert plan_sha256({"a": {"y": 1, "x": 2}}) == plan_sha256({"a": {"x": 2, "y": 1}})


def test_what_is_planned():
    plan = plan_of()
    assert set(plan["primary endpoints"]) == {
        "tuning agreement", "reproducibility", "direction use",
    }  # fmt: skip
    for entry in plan["primary endpoints"].values():
        assert entry["difference against controls"] == ["label-shuffled", "static"]
    said = {name: entry["definition"] for name, entry in plan["primary endpoints"].items()}
    assert "mean size (absolute value) of the other entries" in said["tuning agreement"]
    assert "pretrained runs, pooled over networks" in said["reproducibility"]
    assert "one-sided, secondary" in plan["tests"]["adjustment"]
    assert plan["runs per cell"] == {"resnet18-mine-scratch-3t": 3}
    assert plan["tests"]["alpha"] == 0.05
    assert plan["families"]["dataset"]["blocks"] == ["network", "init"]
    assert (
        plan_of(training=TRAINING | {"device": "cuda", "runs_per_job": 2}) == plan
    )  # of the machine


def test_the_first_plan_is_kept_and_deviations_are_listed(tmp_path):
    file = tmp_path / "plan.json"
    first = write_plan(file, plan_of(), trained=False)
    assert first["before_training"]
    assert first["deviations"] == []
    assert write_plan(file, plan_of(), trained=True) == first  # equal content, equal file
    later = write_plan(file, plan_of(replicates=5, statistics={"alpha": 0.01}), trained=True)
    assert (later["sha256"], later["written"], later["plan"]) == (
        first["sha256"], first["written"], first["plan"],
    )  # fmt: skip
    assert later["before_training"]
    found = {d["key"]: (d["planned"], d["now"]) for d in later["deviations"]}
    assert found == {
        "runs per cell.resnet18-mine-scratch-3t": (3, 5),
        "settings.statistics.alpha": (0.05, 0.01),
        "tests.alpha": (0.05, 0.01),
    }
    assert read_plan(file) == later
    assert write_plan(file, plan_of(), trained=True)["deviations"] == []


def test_a_plan_after_training_says_so(tmp_path):
    assert not write_plan(tmp_path / "plan.json", plan_of(), trained=True)["before_training"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: content["plan"]["tests"].update(alpha=0.2), "does not have the hash"),
        (lambda content: content.pop("sha256"), "no analysis plan"),
    ],
)
def test_an_edited_plan_is_refused(tmp_path, edit, message):
    file = tmp_path / "plan.json"
    content = write_plan(file, plan_of(), trained=False)
    edit(content)
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        write_plan(file, plan_of(), trained=False)


def test_the_report_prints_hash_date_and_deviations(tmp_path, make_study):
    runs = make_study(k=1).runs.assign(n_updates=100, best_epoch=1)
    file = tmp_path / "plan.json"
    write_plan(file, plan_of(), trained=False)
    for plan, said in (
        (read_plan(file), "does not deviate"),
        (write_plan(file, plan_of(replicates=5), trained=True), "**1 deviation** from it:"),
    ):
        document = build_document(runs=runs, config={}, plan=plan)
        text = " ".join(b.text for b in document.blocks() if isinstance(b, Paragraph))
        assert plan["sha256"] in text
        assert plan["written"] in text
        assert "before a run was trained" in text
        assert said in text
