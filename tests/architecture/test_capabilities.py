"""The matrix of capabilities: every file that it names exists, and no cell claims what no test shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "operating" / "capability-levels.md"
ROWS: Final = 41
OTHERS: Final = 9
LEVELS: Final = ("I ", "II ", "III ", "IV ", "V ")
_LINK: Final = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
#: Steps and stages of the cluster test are no test files, but that is what they are.
_CLUSTER_TEST: Final = frozenset({"tests/cluster/steps.py", "tests/cluster/trial.py"})


class Row(NamedTuple):
    """One row of the matrix.

    Attributes:
        number: of the row.
        others: the nine marks of others.
        mark: ours.
        words: what stands beside it, links included.
        files: what is linked, relative to the tree.
    """

    number: int
    others: tuple[str, ...]
    mark: str
    words: str
    files: tuple[str, ...]


def links(text: str) -> list[str]:
    """Return the files that a text of the page links, relative to the tree; links to elsewhere are left as they are."""
    found = []
    for target in _LINK.findall(text):
        path = (PAGE.parent / target).resolve()
        found.append(path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else target)
    return found


def rows(page: str) -> list[Row]:
    """Return the rows of the matrix."""
    found = []
    for line in page.splitlines():
        if re.match(r"\| \d+ \|", line):
            number, _, *others, ours = (cell.strip() for cell in line.strip("|").split("|"))
            mark, _, words = ours.partition(" ")
            found.append(Row(int(number), tuple(others), mark, words, tuple(links(words))))
    return found


def is_test(file: str) -> bool:
    """Tell whether a file is a test that some target of the Makefile runs."""
    return file in _CLUSTER_TEST or re.fullmatch(r"tests/(.+/)?test_\w+\.py", file) is not None


def faults(page: str) -> Iterator[str]:
    """Return what is wrong with a page."""
    for file in links(page):
        if not (ROOT / file).exists():
            yield f"there is no {file}"
    for row in rows(page):
        if row.mark not in {"✔", "◐", "–"}:
            yield f"row {row.number}: no mark"
        if row.mark == "✔" and not any(map(is_test, row.files)):
            yield f"row {row.number}: no test shows it"
        if row.mark != "✔" and not re.sub(r"\[[^]]*\]\([^)]*\)|[,;: ]", "", row.words):
            yield f"row {row.number}: no word why"
    for level in LEVELS:
        (line,) = (line for line in page.splitlines() if line.startswith(f"| {level}"))
        _, here, missing = (cell.strip() for cell in line.strip("|").split("|"))
        if not any(map(is_test, links(here))):
            yield f"level {level}: no test shows it"
        if not missing:
            yield f"level {level}: nothing is said of what is missing"


def test_nothing_is_claimed_that_no_test_shows() -> None:
    assert list(faults(PAGE.read_text("utf-8"))) == []


def test_no_row_is_left_out() -> None:
    found = rows(PAGE.read_text("utf-8"))
    assert [row.number for row in found] == list(range(1, ROWS + 1))
    for row in found:
        assert len(row.others) == OTHERS
        assert {"✔", "◐", "–", "n/a"} >= set(row.others)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        (r"tests/crds/test_schemas\.py", "tests/crds/test_schemata.py", "there is no tests/crds/test_schemata.py"),
        (r"(\| 20 .*) ✔ .*", r"\1 ✔ as everybody knows |", "row 20: no test shows it"),
        (r"(\| 20 .*) ✔ .*", r"\1 ✔ [source](../../operators/__init__.py) |", "row 20: no test shows it"),
        (r"(\| 20 .*) ✔ .*", r"\1 yes |", "row 20: no mark"),
        (r"(\| 13 .*) – .*", r"\1 – |", "row 13: no word why"),
        (r"\| V Auto pilot \|[^|]*\|", "| V Auto pilot | It thinks for itself. |", "level V : no test shows it"),
    ],
)
def test_a_claim_too_many_would_be_noticed(before: str, after: str, fault: str) -> None:
    page = PAGE.read_text("utf-8")
    bolder = re.sub(before, after, page, count=1)
    assert bolder != page
    assert fault in list(faults(bolder))
