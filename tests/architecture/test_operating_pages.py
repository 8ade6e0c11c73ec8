"""The pages for those who run a network: all of them are listed, and every link of theirs leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parents[2] / "docs" / "operating"
_FENCED: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`[^`\n]*`")


def anchors(page: Path) -> set[str]:
    """Return the names by which headings of a page can be linked."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, text: str) -> Iterator[str]:
    """Return the links of a page that lead nowhere."""
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", _CODE.sub("", _FENCED.sub("", text))):
        if target.startswith("http"):
            continue
        there = (page.parent / target).resolve() if target else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            yield f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken(page, page.read_text("utf-8"))) == []


def test_the_index_lists_every_page() -> None:
    listed = re.findall(r"^\| \[([\w-]+\.md)\]", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(page.name for page in FOLDER.glob("*.md") if page.name != "README.md")


@pytest.mark.parametrize("text", ["[x](nowhere.md)", "[x](install.md#not-there)", "[x](#not-there)"])
def test_a_link_to_nowhere_would_be_noticed(text: str) -> None:
    assert list(broken(FOLDER / "README.md", text))


def test_a_link_to_a_heading_is_found() -> None:
    assert list(broken(FOLDER / "README.md", "[x](install.md#back-up) and [y](nats.md#who-is-trusted)")) == []
