"""A control or convolution added to its registry is in figures, tables, sentences and cards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# In a process of its own: modules take what they derive when they are imported.
CODE = """
from threetconv.schemas import runs
runs.CONTROLS["reversed"] = runs.Named("reversed clips", "the frames come in reverse order")
runs.CONVOLUTIONS["4t"] = runs.Named("4T", "one more of everything")

from tests.builders.figure_tables import controls_table, texts
from tests.builders.need_tables import need_study
from tests.builders.study_tables import make_metrics, make_runs, with_controls
from tests.records.test_model_card import RECORD
from tests.report.test_content import words
from threetconv.figures import accuracy, controls, need, theme
from threetconv.records import model_card
from threetconv.report.content import build_document
from threetconv.statistics.tests import families, sentences
from threetconv.statistics.truth.need import need_runs

new = {"static": "reversed", "3d": "4t"}
assert "reversed clips" in texts(controls.controls(controls_table().replace(new)))
shown = texts(need.need(need_runs(*need_study()).replace(new)))
assert "3T scratch, reversed" in shown and "4T scratch" in shown, shown
table = with_controls(make_runs(["resnet18"], ["gestures"], 3)).replace(new)
assert "4T pretrained" in texts(accuracy.accuracy_curves(make_metrics(table), table))
text = words(build_document(runs=table, config={"study": "s"}))
assert "reversed: the frames come in reverse order." in text, text
assert "4T: one more of everything" in text, text
found = families.form_contrasts(table[table["convolution"] == "3t"], families.FAMILIES["controls"])
assert [c.text for c in found] == ["none / label-shuffled", "none / reversed"]
assert sentences.CLIPS["reversed"] == "reversed clips"
told = {"weights_sha256": "", "source": "trained"}
card = model_card._what(RECORD | told | {"control": "reversed", "convolution": "4t"})
assert "A negative control:** the frames come in reverse order." in card, card
assert "one more of everything" in card, card
"""


def test_what_is_in_the_registry_is_everywhere() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
