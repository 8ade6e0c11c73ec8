"""Every privacy claim has its test and its controls, and the README makes no other claim."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "docs" / "claims.yaml"
README = ROOT / "README.md"


class Claim(NamedTuple):
    """One entry of ``docs/claims.yaml``."""

    id: str
    text: str
    rows: str
    test: str
    controls: tuple[str, ...]
    holds_for: str
    does_not_cover: str


def read_claims(text: str) -> list[Claim]:
    """Read the claims. Of YAML they use mappings of single lines and one list, which is all that is read here.

    Raises:
        ValueError: a line is something else.
    """
    entries: list[dict[str, str]] = []
    controls: list[list[str]] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#") or line == "claims:":
            continue
        if item := re.fullmatch(r"      - (\S+)", line):
            controls[-1].append(item[1])
            continue
        field = re.fullmatch(r"  (- |  )(\w+):(?: (.+))?", line)
        if field is None:
            raise ValueError(f"not a line of a claim: {line!r}")
        if field[1] == "- ":
            entries.append({})
            controls.append([])
        if field[2] in entries[-1]:
            raise ValueError(f"said twice: {line!r}")
        entries[-1][field[2]] = (field[3] or "").strip()
    return [
        Claim(**{**entry, "controls": tuple(found)})  # type: ignore[arg-type]  # mypy sees one type for all values
        for entry, found in zip(entries, controls, strict=True)
    ]


def claimed(readme: str) -> list[str]:
    """Return the claims that a README lists between its marks."""
    parts = re.findall(r"<!-- claims -->\n(.*?)<!-- /claims -->", readme, re.DOTALL)
    assert len(parts) == 1, "one list of claims, between <!-- claims --> and <!-- /claims -->"
    lines = [line for line in parts[0].splitlines() if line.strip()]
    assert all(line.startswith("- ") for line in lines), "one claim to a line"
    return [line.removeprefix("- ") for line in lines]


@pytest.fixture(scope="module")
def claims() -> list[Claim]:
    return read_claims(CLAIMS.read_text(encoding="utf-8"))


def test_claims_are_complete_and_told_apart(claims: list[Claim]) -> None:
    assert claims
    assert len({claim.id for claim in claims}) == len({claim.text for claim in claims}) == len(claims)
    for claim in claims:
        assert all(claim), f"{claim.id} leaves something out"
        assert claim.test not in claim.controls


def test_every_test_and_control_of_a_claim_exists(claims: list[Claim]) -> None:
    named = {node for claim in claims for node in (claim.test, *claim.controls)}
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *sorted(named)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    assert named == {line for line in found.stdout.splitlines() if "::" in line}


def test_controls_are_controls(claims: list[Claim]) -> None:
    for claim in claims:
        assert all("::test_control_" in control for control in claim.controls)
        assert "::test_control_" not in claim.test


def test_the_readme_makes_no_other_claim(claims: list[Claim]) -> None:
    listed = claimed(README.read_text(encoding="utf-8"))
    assert listed
    assert set(listed) <= {claim.text for claim in claims}


def test_control_another_claim_would_be_noticed(claims: list[Claim]) -> None:
    readme = README.read_text(encoding="utf-8")
    bolder = readme.replace("<!-- /claims -->", "- Nobody ever sees anything.\n<!-- /claims -->")
    assert not set(claimed(bolder)) <= {claim.text for claim in claims}


@pytest.mark.parametrize("line", ["    test", "  - id: one\n  id: two", "  - id: one\n    id: two"])
def test_a_claim_that_cannot_be_read_is_refused(line: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_claims(f"claims:\n{line}\n")
