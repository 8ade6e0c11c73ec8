"""The rendered NetworkPolicies are the table of who talks to whom: no more, no less, and the same from both ends."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.charts.rendering import RELEASE, ROOT, Rendering
from tests.charts.talks import COMPONENT, Way, allowed, table, wanted

_DIRECTIONS: Final = ("ingress", "egress")
_ROW: Final = re.compile(r"^\| (?P<component>\w+)[^|]*\| (?P<number>\d+) \| `(?P<name>[\w-]+)` \|", re.MULTILINE)


@pytest.mark.parametrize("direction", _DIRECTIONS)
def test_policies_are_the_table(rendering: Rendering, direction: str) -> None:
    if rendering.values["networkPolicy"]["enabled"]:
        ways = allowed(rendering, direction)
        assert set(ways) == wanted(rendering, direction)
        assert len(ways) == len(set(ways)), "a row was rendered twice"


def test_both_ends_say_the_same(rendering: Rendering) -> None:
    inside = table()["ports"]

    def between(ways: list[Way]) -> set[Way]:
        return {way for way in ways if way.source in inside and way.target in inside}

    assert between(allowed(rendering, "ingress")) == between(allowed(rendering, "egress"))


def test_everything_else_is_denied(rendering: Rendering) -> None:
    policies = rendering.of_kind("NetworkPolicy")
    if not rendering.values["networkPolicy"]["enabled"]:
        assert policies == []
        return
    for policy in policies:
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"], "the other direction would be open"
    (closed,) = (one for one in policies if COMPONENT not in one["spec"]["podSelector"]["matchLabels"])
    assert closed["spec"] == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "naisho", "app.kubernetes.io/instance": RELEASE}},
        "policyTypes": ["Ingress", "Egress"],
    }


def test_every_pod_has_a_policy_of_its_own(rendering: Rendering) -> None:
    if rendering.values["networkPolicy"]["enabled"]:
        chosen = {
            one["spec"]["podSelector"]["matchLabels"].get(COMPONENT) for one in rendering.of_kind("NetworkPolicy")
        }
        assert chosen - {None} == table()["ports"].keys()
        assert {load.component for load in rendering.workloads()} <= chosen


def test_containers_listen_where_the_table_says(rendering: Rendering) -> None:
    for load in rendering.workloads():
        ports = {port["name"]: port["containerPort"] for one in load.containers for port in one.get("ports", [])}
        assert ports == table()["ports"][load.component], load.name


def test_the_table_has_the_ports_of_the_decision() -> None:
    text = (ROOT / "docs" / "adr" / "0014-on-kubernetes.md").read_text(encoding="utf-8")
    decided: dict[str, dict[str, int]] = {}
    for row in _ROW.finditer(text):
        decided.setdefault(row["component"], {})[row["name"]] = int(row["number"])
    assert decided == {component: ports for component, ports in table()["ports"].items() if ports}


def test_the_table_uses_its_own_words() -> None:
    talks = table()
    known = talks["ports"].keys() | set(talks["outside"])
    for row in talks["talks"]:
        assert row.keys() <= {"from", "to", "ports", "when", "why"}
        assert row["why"]
        assert {row["from"], row["to"]} <= known
        if row["to"] in talks["ports"]:
            assert set(row["ports"]) <= talks["ports"][row["to"]].keys()
    met = {row[end] for row in talks["talks"] for end in ("from", "to")}
    assert met == known, "somebody talks to nobody"


def test_nothing_but_names_goes_by_datagram(rendering: Rendering) -> None:
    for policy in rendering.of_kind("NetworkPolicy"):
        for direction in _DIRECTIONS:
            for rule in policy["spec"].get(direction, []):
                datagrams = {port["port"] for port in rule["ports"] if port["protocol"] == "UDP"}
                assert datagrams <= set(rendering.values["networkPolicy"]["dns"]["ports"])
