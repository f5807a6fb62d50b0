"""Networks of single frames and R(2+1)D in the report: named as what they are, everywhere."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from threetconv.figures.accuracy import accuracy_curves
from threetconv.report.content import build_document
from threetconv.report.html import render_html
from threetconv.report.sections.explanations import plain
from threetconv.statistics.summaries.accuracy import accuracy_table
from threetconv.statistics.tests.accuracy import accuracy_tests

from ..builders.study_tables import make_metrics

BASELINES = {"2d": "2D (single frames)", "r2plus1d": "R(2+1)D"}


def with_baselines(study: dict[str, Any]) -> dict[str, Any]:
    """The study with R(2+1)D from 2D weights and single frames from scratch."""
    runs = study["runs"]
    parts = [runs]
    for init, kind in (("pretrained", "r2plus1d"), ("scratch", "2d")):
        more = runs[(runs["init"] == init) & (runs["convolution"] == "3t")]
        ids = more["run_id"].str.replace("-3t-", f"-{kind}-")
        parts.append(more.assign(run_id=ids, convolution=kind, n_temporal=0))
    runs = pd.concat(parts, ignore_index=True)
    metrics = make_metrics(runs)
    return study | {
        "runs": runs,
        "metrics": metrics,
        "accuracy_table": accuracy_table(metrics, runs),
        "accuracy_tests": accuracy_tests(metrics, runs, seed=1),
    }


def test_every_table_and_sentence_names_them(study: dict[str, Any], tmp_path: Any) -> None:
    document = build_document(**with_baselines(study))
    render_html(document, tmp_path / "report.html")
    text = re.sub("<[^>]+>", " ", (tmp_path / "report.html").read_text())
    text = re.sub(r"\s+", " ", text)
    assert "Pretrained 3T, 3D and R(2+1)D networks: accuracy" in text
    assert "3T and 2D (single frames) networks that started from 2D weights and from" in text
    assert "single frames, whose logits are averaged" in text
    assert "The largest difference" in text
    assert "3D \N{MINUS SIGN} R(2+1)D" in text
    assert "r2plus1d networks" not in text


def test_without_them_nothing_is_said(study: dict[str, Any], tmp_path: Any) -> None:
    render_html(build_document(**study), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "R(2+1)D" not in text
    assert "The largest difference" not in text


def test_the_figure_tells_them_apart(study: dict[str, Any]) -> None:
    tables = with_baselines(study)
    figure = accuracy_curves(tables["metrics"], tables["runs"])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"2D (single frames) scratch", "R(2+1)D pretrained", "3T scratch"} <= set(legend)
    handles = figure.legends[0].legend_handles
    looks = {(line.get_color(), str(line._dash_pattern)) for line in handles}
    assert len(looks) == len(legend)


def test_channels_without_transforms_are_named() -> None:
    cell = {"network": "resnet18", "dataset": "gestures"}
    chosen = pd.DataFrame([cell | {"convolution": kind} for kind in ("3t", "r2plus1d", "2d")])
    assert plain(chosen, "resnet18", "gestures").startswith(
        "; 2D (single frames) and R(2+1)D channels have no transforms"
    )
    assert plain(chosen[:1], "resnet18", "gestures") == ""
