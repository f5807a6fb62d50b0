"""What is edited, and which rules then run again."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest

from threetconv.data.adapters.registry import ADAPTERS, adapter_module, find_adapter
from threetconv.figures.registry import FIGURES
from threetconv.support import provenance
from threetconv.support.provenance import code_digest

sys.path.insert(0, str(Path(__file__).parent))
from rule_files import ROOT, modules_of, rules

RULES = rules()
TRAINING = {"train", "fetch_run", "train_on_stills", "fetch_imagenet"}
NETWORKS = TRAINING | {"explain", "explorer", "explanations", "explain_notebook"}
NETWORKS |= {"tuning", "ruler", "need", "preferences"}

FROM_TABLES = [name for name, rule in RULES.items() if rule.script.name == "figures.py"]
DRAWING = {"clip_strips", "transform_gallery", *FROM_TABLES}
THEMED = {"study_report", "explain_notebook"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that may be edited, and whose digests are taken."""
    copy = tmp_path / "threetconv"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src/threetconv", copy, ignore=ignored)
    monkeypatch.setattr(provenance, "_PACKAGE", copy)
    provenance._all_resources.cache_clear()
    return copy


def digests() -> dict[str, str]:
    return {name: code_digest(*rule.roots) for name, rule in RULES.items() if rule.roots}


COMMENT = ("\\Z", "\n# a comment\n")
NOBODY: set[str] = set()
CASES = {
    "a comment in logs": ("support/logs.py", *COMMENT, NOBODY),
    "code in logs": ("support/logs.py", "\\Z", "\nx = 1\n", NOBODY),
    "code in errors": ("errors.py", "\\Z", "\nx = 1\n", NOBODY),
    "code in deploy": ("networks/freeze.py", "\\Z", "\nx = 1\n", NOBODY),
    "a comment in training": ("training/loop.py", *COMMENT, NOBODY),
    "a docstring in training": ("training/loop.py", r'\A"""', '"""So: ', NOBODY),
    "a comment in an adapter": ("data/adapters/ucf101.py", *COMMENT, NOBODY),
    "code in an adapter": ("data/adapters/ucf101.py", "\\Z", "\nx = 1\n", NOBODY),
    "code in the adapter": ("data/adapters/folder.py", "\\Z", "\nx = 1\n", {"clip_table"}),
    "a message of training": ("training/loop.py", "at least one readable batch", "some", NOBODY),
    "an option of training": ("training/settings.py", "\\Z", "\nx = 1\n", TRAINING),
    "a description of a column": ("schemas/runs.py", "pixels", "px", NOBODY),
    "a column of tests": ("schemas/statistics.py", "WHERE,\n", "WHERE,\nWHERE,\n", {"tests"}),
    "one figure": ("figures/effects.py", "\\Z", "\nx = 1\n", {"effects"}),
    "one of two figures": ("figures/histograms.py", "\\Z", "\nx = 1\n", {"distributions"}),
    "a line of the registry": ("figures/registry.py", "\\Z", "\nx = 1\n", NOBODY),
    "the look of figures": ("figures/theme.py", "\\Z", "\nx = 1\n", DRAWING | THEMED),
    "the paper's numbers": ("records/paper_numbers.yaml", "\\Z", "\n# 1\n", {"paper_tables"}),
    "the report's style": (
        "report/templates/report.css", "\\Z", "\na {}\n", {"study_report", "explorer"},
    ),
    "the report in print": ("report/templates/report.typ", "\\Z", "\n", {"study_report"}),
    "the explorer's script": ("explorer/templates/list.js", "\\Z", "\n", {"explorer"}),
    "a page of a table": ("report/page.py", "2_000", "3_000", {"table_pages"}),
}  # fmt: skip
AT_LEAST = {"a column of tests", "the paper's numbers", "an option of training"}


@pytest.mark.parametrize("edit", CASES)
def test_an_edit_reruns_these_rules_and_no_others(package: Path, edit: str) -> None:
    name, pattern, new, expected = CASES[edit]
    before = digests()
    text, count = re.subn(pattern, lambda _: new, (package / name).read_text(), count=1)
    assert count == 1
    (package / name).write_text(text)
    changed = {rule for rule, digest in digests().items() if digest != before[rule]}
    if edit in AT_LEAST:
        assert changed >= expected
        assert not changed & (TRAINING | {"clip_table", "render", "explain"}) - expected
    else:
        assert changed == expected


def test_an_edit_of_the_kernels_reruns_what_computes_with_networks(package: Path) -> None:
    before = digests()
    file = package / "layer/cpu/any_size.py"
    file.write_text(file.read_text() + "x = 1\n")
    changed = {rule for rule, digest in digests().items() if digest != before[rule]}
    assert changed >= TRAINING | {"explain", "preferences", "tuning", "explain_notebook"}
    assert not changed & {"render", "clip_table", "pack_clips", "table_pages", "effects"}


@pytest.mark.parametrize("name", RULES)
def test_a_digest_follows_all_that_the_script_imports_and_nothing_else(name: str) -> None:
    rule = RULES[name]
    imported = rule.imported
    if name == "clip_table":  # by the adapter of each data set; `read` picks it
        imported = {
            "data.adapters.folder" if module == "data.adapters.registry" else module
            for module in imported
        }
    needed = imported - set(provenance._NO_NUMBERS)
    assert needed <= set(provenance._reached(rule.roots))
    if name not in {"notebook", "explain_notebook"}:  # what the notebooks import is named too
        faces = {root for root in rule.roots if (ROOT / "src/threetconv" / root).is_dir()}
        assert set(rule.roots) - faces - {"schemas.channels"} <= imported


@pytest.mark.parametrize("name", FROM_TABLES)
def test_a_figure_is_given_the_tables_that_it_takes(name: str) -> None:
    figure = RULES[name].figure
    assert figure is not None
    module, function = FIGURES[figure].split(".")
    drawing = getattr(import_module(f"threetconv.figures.{module}"), function)
    given = RULES[name].inputs
    assert given
    assert set(given) <= set(inspect.signature(drawing).parameters)


def test_every_figure_of_the_registry_is_drawn_by_one_rule() -> None:
    assert sorted(str(RULES[name].figure) for name in FROM_TABLES) == sorted(FIGURES)


@pytest.mark.parametrize(
    ("rule", "notebook"),
    [("notebook", "query_parameters"), ("explain_notebook", "explain_a_channel")],
)
def test_a_digest_follows_what_a_notebook_imports(rule: str, notebook: str) -> None:
    text = (ROOT / f"workflow/notebooks/{notebook}.ipynb").read_text()
    lines = re.findall(r"from threetconv[\w.]* import [\w, ]+", text)
    needed = modules_of("\n".join(lines)) - set(provenance._NO_NUMBERS)
    assert needed
    assert needed <= set(provenance._reached(RULES[rule].roots))


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_digest_of_an_adapter_follows_its_module_and_not_the_list_of_all(name: str) -> None:
    module = find_adapter(name).read.__module__.removeprefix("threetconv.")
    assert module == f"data.adapters.{adapter_module(name)}"
    assert "data.adapters.registry" not in provenance._reached((module,))
