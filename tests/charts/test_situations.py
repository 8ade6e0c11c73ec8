"""Every situation is named for what it proves, says so, and is listed for those who look for one."""

from __future__ import annotations

import re

from tests.charts.rendering import CHART, situations, values_file


def test_every_situation_says_what_it_is(situation: str) -> None:
    first = values_file(situation).read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"# [A-Z].*\.", first)


def test_the_readme_lists_every_situation_and_no_other() -> None:
    text = (CHART / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[`([\w-]+)`\]\(ci/\1\.yaml\) \|", text, re.MULTILINE) == situations()


def test_the_readme_says_of_each_what_it_says_of_itself(situation: str) -> None:
    said = values_file(situation).read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    row = f"| [`{situation}`](ci/{situation}.yaml) | {said} |"
    assert row in (CHART / "README.md").read_text(encoding="utf-8").splitlines()
