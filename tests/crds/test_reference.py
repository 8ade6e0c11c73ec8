"""``docs/operating/crds.md`` is what the definitions say today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crds.contract import stated
from tests.crds.definitions import Definition, definitions
from tests.crds.reference import DOCUMENT, reference, write

PAGE = DOCUMENT.read_text(encoding="utf-8")


def test_the_reference_is_not_stale() -> None:
    assert reference() == PAGE, "write it anew: python -m tests.crds.reference"


@pytest.mark.parametrize("definition", definitions().values(), ids=lambda definition: definition.kind)
def test_every_field_stands_in_it(definition: Definition) -> None:
    for field in definition.fields():
        part, _, name = field.path.removeprefix(".").partition(".")
        if name and part in {"spec", "status"}:
            assert f"| `{name}` | " in PAGE
            assert field.schema["description"].replace("|", "\\|") in PAGE


def test_every_rule_stands_in_it() -> None:
    assert [rule.name for rule in stated().values() if f"| {rule.message} |" not in PAGE] == []


def test_every_row_has_all_of_its_cells() -> None:
    for table in PAGE.split("\n\n"):
        rows = [line.replace("\\|", "") for line in table.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1


def test_a_changed_description_makes_it_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = definitions()["NodePool"].schema["properties"]["spec"]["properties"]["family"]
    monkeypatch.setitem(schema, "description", "Something else.")
    assert reference() != PAGE


def test_it_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / "crds.md")
    assert (tmp_path / "crds.md").read_text(encoding="utf-8") == PAGE
