"""Every table that is written has its columns declared in one place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pyarrow as pa
import pytest

from threetconv import schemas
from threetconv.schemas import TABLES

ROOT = Path(__file__).resolve().parents[2]
FILES = [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow/scripts").glob("*.py")]
DECLARED = {
    name: getattr(module, name)
    for module in (
        schemas.clips,
        schemas.runs,
        schemas.channels,
        schemas.tuning,
        schemas.need,
        schemas.ruler,
        schemas.statistics,
        schemas.truth,
        schemas.endpoints,
    )
    for name in module.__all__
    if isinstance(getattr(module, name), pa.Schema)
}


def test_every_table_that_is_written_names_a_schema() -> None:
    written = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in {"pq.write_table", "to_parquet"} or file.name == "files.py", file
            if called == "write_parquet":
                schema = ast.unparse(node.args[2])
                assert schema in DECLARED or schema.startswith("getattr(channels"), (file, schema)
                written.add(schema)
    assert set(DECLARED) - {"TRAJECTORIES"} <= written  # which `explanations` writes by its name
    assert {id(schema) for schema in TABLES.values()} == {id(s) for s in DECLARED.values()}


@pytest.mark.parametrize("name", TABLES)
def test_every_column_says_what_it_holds(name: str) -> None:
    schema = TABLES[name]
    assert len(set(schema.names)) == len(schema.names)
    for field in schema:
        assert not pa.types.is_null(field.type)
        assert not pa.types.is_large_string(field.type)
        description = field.metadata[b"description"].decode()
        assert re.fullmatch(r"\S.*[^.\s]", description), (field.name, description)


def test_columns_of_one_name_have_one_type_but_for_size() -> None:
    """A join of two tables must not compare text with numbers."""
    kinds: dict[str, set[str]] = {}
    for schema in DECLARED.values():
        for field in schema:
            kinds.setdefault(field.name, set()).add(re.sub(r"\d+", "", str(field.type)))
    several = {name: found for name, found in kinds.items() if len(found) > 1}
    assert set(several) == {"n_rows"} or not several, several
