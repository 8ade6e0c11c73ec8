"""Every expression of an alert or a dashboard names metrics, labels and values that exist."""

from __future__ import annotations

import pytest

from tests.charts.monitoring.files import Expression, expressions
from tests.charts.monitoring.known_metrics import OTHERS, labels_of, ours, tables
from tests.charts.monitoring.promql import read

#: Made by ``label_replace`` in the expression itself.
_MADE = {"pool"}


def faults(expression: str) -> list[str]:
    """Return what an expression names that does not exist."""
    named = read(expression)
    found = [f"no metric {metric}" for metric in named.metrics if metric not in ours() and metric not in OTHERS]
    if found:
        return found
    allowed = frozenset().union(*(labels_of(metric) for metric in named.metrics))
    found += [f"no label {label} to group by" for label in named.grouped - allowed - _MADE]
    for selector in named.selectors:
        values = ours().get(selector.metric, {})
        for label, sign, value in selector.matchers:
            if label not in labels_of(selector.metric):
                found.append(f"{selector.metric} has no label {label}")
            elif label in values and sign == "=" and value not in values[label]:
                found.append(f"{selector.metric} never has {label}={value}")
    return found


@pytest.mark.parametrize("expression", list(expressions()), ids=lambda expression: expression.place)
def test_an_expression_names_only_what_exists(expression: Expression) -> None:
    assert not faults(expression.text)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(naisho_onion_answers[5m])", "no metric naisho_onion_answers"),  # it is shown with _total
        ("naisho_onion_held", "no metric naisho_onion_held"),  # and this with its unit
        ('naisho_membership_nodes{state="Active"}', "naisho_membership_nodes never has state=Active"),
        ('naisho_swarm_behind{service="swarm"}', "naisho_swarm_behind has no label service"),
        ("sum by (account) (naisho_swarm_behind)", "no label account to group by"),
    ],
)
def test_what_does_not_exist_is_found(expression: str, fault: str) -> None:
    assert faults(expression) == [fault]


def test_every_table_of_instruments_is_known() -> None:
    prefixes = {name.split("_")[1] for name in ours() if name.startswith("naisho_")}
    assert prefixes == set(tables())


def test_our_own_metrics_are_shown_somewhere() -> None:
    """What nobody looks at need not be measured."""
    named = {metric for expression in expressions() for metric in read(expression.text).metrics}
    shown = {metric.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for metric in named}
    wanted = {name for name in ours() if name.startswith("naisho_") and not name.endswith("_created")}
    missing = {
        name for name in wanted if name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") not in shown
    }
    assert not missing
