"""``docs/operating/conditions.md``, read: every type of condition, and the reasons that it may have.

That file is where they are stated. The resource definitions are compared with it here, the operator's enumerations by
the operator's tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.crds.definitions import ROOT

DOCUMENT: Final = ROOT / "docs" / "operating" / "conditions.md"
_ROW: Final = re.compile(r"^\| (\w+) \| (True|False|Unknown) \| (\w+) \| (.+) \| (.+) \|$", re.MULTILINE)


class Reason(NamedTuple):
    """One row: a reason of one type of condition of one kind, and the status that it goes with."""

    kind: str
    type: str
    status: str
    reason: str


def reasons(text: str | None = None) -> list[Reason]:
    """Return all rows, in their order; of the document unless another text is given."""
    return list(_rows(DOCUMENT.read_text(encoding="utf-8") if text is None else text))


def _rows(text: str) -> Iterator[Reason]:
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        kind = section.split("\n", 1)[0].strip()
        for found in _ROW.finditer(section):
            yield Reason(kind, *found.group(1, 2, 3))
