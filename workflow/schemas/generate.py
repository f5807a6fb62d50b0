"""Write what follows from the model of a study's configuration; `--check` tells whether it does.

The JSON schema is for editors, which complete and check keys with it; nothing else reads it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from threetconv.study.reference import reference_page, study_schema

ROOT = Path(__file__).resolve().parents[2]
HEAD = "# Written by `make docs` from src/threetconv/study/config.py.\n"


def generated() -> dict[Path, str]:
    """File -> what it should hold."""
    schema = yaml.safe_dump(
        dict(study_schema()), sort_keys=False, width=100, default_flow_style=None
    )
    return {
        ROOT / "workflow/schemas/config.schema.yaml": HEAD + schema,
        ROOT / "docs/reference/config.md": reference_page(),
    }


if __name__ == "__main__":
    for file, text in generated().items():
        if "--check" not in sys.argv:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif file.read_text(encoding="utf-8") != text:
            sys.exit(f"{file.relative_to(ROOT)} does not follow the model: run `make docs`")
