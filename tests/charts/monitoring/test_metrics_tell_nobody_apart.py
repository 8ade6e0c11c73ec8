"""No label of any metric can hold an account, an address or a hash (design, section 7, rule 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pytest

from services.chassis.telemetry import Instrument, InstrumentError, Kind
from tests.charts.monitoring.files import ALERT_NAMES, DASHBOARD_NAMES, dashboard, expressions, rules
from tests.charts.monitoring.known_metrics import OTHERS, TARGET, exposed, tables
from tests.charts.monitoring.promql import read

#: Labels that Prometheus or Kubernetes put on: they name objects of the cluster, none of which is one person's.
_OF_OBJECTS = TARGET.union(*OTHERS.values()) | {"pool"}
#: Words, each of few letters. No hexadecimal number of 16 digits, no address, nothing with a dot or a colon.
_WORD = re.compile(r"(?![0-9a-f]{8})[a-z0-9][a-z0-9_-]{0,15}")
#: Where an expression or a text of ours puts a label.
_PLACES = re.compile(r"\{\{\s*(?:with\s+)?\$labels\.(\w+)|\{\{\s*(\w+)\s*\}\}")


def telling(service: str, instruments: Iterable[Instrument]) -> list[str]:
    """Return what stands in the labels of samples, as they are shown, and could be somebody's."""
    shown: Mapping[str, Mapping[str, frozenset[str]]] = exposed(service, instruments)
    return [
        f"{name}: {label}={value}"
        for name, labels in shown.items()
        for label, values in labels.items()
        for value in values
        if label != "le" and not _WORD.fullmatch(value)
    ]


@pytest.mark.parametrize("service", tables())
def test_every_value_of_every_label_is_one_of_few_words(service: str) -> None:
    assert not telling(service, tables()[service])


@pytest.mark.parametrize("value", ["05c0ffee05c0ffee", "2001-db8--1-2-3-4-5"])
def test_a_hash_or_an_address_as_a_declared_value_is_found(value: str) -> None:
    """Positive control: the instruments' own check lets short ones pass."""
    instrument = Instrument(Kind.COUNTER, "naisho_swarm_planted", "Planted.", labels={"whose": (value,)})
    assert telling("swarm", [instrument]) == [f"naisho_swarm_planted_total: whose={value}"]


@pytest.mark.parametrize("value", ["05" + "c0ffee" * 11, "192.0.2.7", "2001:db8::1"])
def test_an_account_or_an_address_cannot_even_be_declared(value: str) -> None:
    with pytest.raises(InstrumentError):
        Instrument(Kind.COUNTER, "naisho_swarm_planted", "Planted.", labels={"whose": (value,)})


def test_a_value_that_was_not_declared_is_refused() -> None:
    instrument = Instrument(Kind.COUNTER, "naisho_swarm_planted", "Planted.", labels={"outcome": ("good",)})
    with pytest.raises(InstrumentError):
        instrument.check({"outcome": "05c0ffee"})


def test_alerts_and_dashboards_use_no_other_labels() -> None:
    """Whatever is grouped by, matched or written into a text is declared, or names an object of the cluster."""
    declared = {label for table in tables().values() for instrument in table for label in instrument.labels}
    used: set[str] = set()
    for expression in expressions():
        named = read(expression.text)
        used |= named.grouped
        used |= {label for selector in named.selectors for label, _, _ in selector.matchers}
    for alert in ALERT_NAMES:
        for rule in rules(alert):
            for text in rule["annotations"].values():
                used |= {found[1] for found in _PLACES.finditer(text) if found[1]}
    for name in DASHBOARD_NAMES:
        for panel in dashboard(name)["panels"]:
            for target in panel.get("targets", ()):
                used |= {found[2] for found in _PLACES.finditer(target["legendFormat"]) if found[2]}
    assert used >= {"namespace", "pod", "outcome", "status", "state", "persistentvolumeclaim"}, "nothing was read"
    assert used <= declared | _OF_OBJECTS
