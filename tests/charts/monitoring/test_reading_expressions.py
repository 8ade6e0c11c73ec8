"""The reader of expressions finds every metric: what it overlooked would never be checked."""

from __future__ import annotations

import pytest

from tests.charts.monitoring.promql import NotReadable, Selector, read


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ("a", {"a"}),
        ("sum(a) / sum by (pod) (b)", {"a", "b"}),
        ("sum by (pod) (a) > 1 and on (pod) max(b) == 0 unless c", {"a", "b", "c"}),
        ('rate(a{pod="b", c=~"d(e)"}[5m]) offset 26h', {"a"}),
        ('label_replace(a{b="c"}, "d", "$1", "e", "(.+)")', {"a"}),
        ("a < on (namespace) group_left b", {"a", "b"}),
        ("sum(a) by (pod) + 3 * 86400 - time()", {"a"}),
        ("a == bool 0 or absent(b) # c", {"a", "b"}),
        ("rate(a[$__rate_interval]) or job:b:sum", {"a", "job:b:sum"}),
        ("max_over_time(rate(a[5m])[1h:5m]) > 1e3 or - b or 0.5 * c", {"a", "b", "c"}),
    ],
)
def test_all_metrics_of_an_expression_are_found(expression: str, metrics: set[str]) -> None:
    assert read(expression).metrics == metrics


def test_labels_are_found_where_they_match_and_where_they_group() -> None:
    named = read('sum by (pod, state) (a{x="1", y=~"2|3"}) * on (zone) group_left (name) b')
    assert named.selectors == [Selector("a", (("x", "=", "1"), ("y", "=~", "2|3"))), Selector("b")]
    assert named.grouped == {"pod", "state", "zone", "name"}


@pytest.mark.parametrize("expression", ["a ! b", 'a{b="c"', "sum by (pod"])
def test_what_cannot_be_read_is_said_and_not_passed_over(expression: str) -> None:
    with pytest.raises(NotReadable):
        read(expression)
