"""Whether an object says what it should, and the patch that makes it say so."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.membership.domain.pool.quantities import quantity
from operators.membership.domain.pool.spec import Exposure, PoolSpec
from operators.membership.manifests import node as objects
from operators.membership.manifests.covers import covers, says
from operators.membership.manifests.node import Place
from operators.membership.manifests.patches import change, changed_leaves, growth, replacement
from operators.membership.manifests.site import Manifest, Site
from tests.crds.quantities import parse_quantity

SITE = Site("r", "r", "ns", "img:1", nats_servers=("tls://n:4222",))
leaves = st.sampled_from(("a", "b", 1, True))
trees = st.recursive(leaves, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=8)
objects_of_any_kind = st.dictionaries(st.sampled_from("xyz"), trees, max_size=3)


def patched(there: Any, patch: Any) -> Any:
    """Apply a merge patch as RFC 7396 says it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(there) if isinstance(there, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), value)
    return result


@given(there=objects_of_any_kind, wanted=objects_of_any_kind)
def test_a_replacement_leaves_what_is_wanted_and_nothing_else(there: Any, wanted: Any) -> None:
    assert patched(there, replacement(there, wanted)) == wanted


@given(before=objects_of_any_kind, after=objects_of_any_kind, others=objects_of_any_kind)
def test_changed_leaves_bring_a_wish_to_its_next_version(before: Any, after: Any, others: Any) -> None:
    patch = changed_leaves(before, after)
    assert patched(before, patch) == after
    assert changed_leaves(after, after) == {}
    untouched = {name: value for name, value in others.items() if name not in patch}
    assert untouched.items() <= patched(others, patch).items(), "what others changed stays"


@pytest.mark.parametrize(
    ("there", "wanted", "covered"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1}, {"b": None, "c": {}, "d": [], "e": ""}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": "500m"}, {"a": "0.5"}, False),
        ({"requests": {"cpu": "500m", "memory": "1Gi"}}, {"requests": {"cpu": 0.5, "memory": "1024Mi"}}, True),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": 2}}, False),
        ({"naisho.dev/swarm": "0000000000000000"}, {"naisho.dev/swarm": "0e00000000000000"}, False),
        ({"a": True}, {"a": False}, False),
        ({}, {"a": False}, False),
        (None, {"a": 1}, False),
    ],
)
def test_what_covers_what(there: Any, wanted: Any, covered: bool) -> None:  # noqa: FBT001 - a row of a table
    assert covers(there, wanted) is covered


@pytest.mark.parametrize(
    "text", ["1", "10Gi", "9.99Gi", ".5", "5.", "500m", "1e3", "1E", "1E3", "3n", "4u", "7k", "1Ei"]
)
def test_quantities_are_exact(text: str) -> None:
    assert quantity(text) == parse_quantity(text)


@pytest.mark.parametrize("text", ["", "-1", "+1", "Gi", "1 Gi", "1gi", "NaN", "Infinity", "1e", "0x10", "\u0661"])
def test_what_is_no_quantity(text: str) -> None:
    assert quantity(text) is None


def stateful(pool: PoolSpec) -> Manifest:
    return objects.stateful_set(SITE, pool, "p-0", ordinal=0, uid="u", place=Place("10.0.0.1", "10.0.0.1", 8443))


def stored(manifest: Manifest, **spec: Any) -> Manifest:
    """Return an object as an API server lists it: without kind and version, with what it adds."""
    there = copy.deepcopy({name: value for name, value in manifest.items() if name not in {"kind", "apiVersion"}})
    there["metadata"] |= {"resourceVersion": "17", "uid": "x"}
    there["spec"] |= spec
    return there


def test_what_was_made_says_what_it_should_and_another_wish_does_not() -> None:
    there = stored(stateful(PoolSpec("p")), revisionHistoryLimit=10)
    there["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    assert says(there, stateful(PoolSpec("p")))
    assert not says(there, stateful(PoolSpec("p", image="other")))
    there["metadata"]["labels"].pop("naisho.dev/pool")
    assert not says(there, stateful(PoolSpec("p")))


def test_a_change_counts_for_the_object_that_was_looked_at_and_ends_in_what_is_wanted() -> None:
    pools = PoolSpec("p", image="a", settings={"onion": {"rate.burst": "1"}}), PoolSpec("p", image="b")
    there, wanted = stored(stateful(pools[0]), revisionHistoryLimit=10), stateful(pools[1])
    there["metadata"]["labels"]["others"] = "stay"
    patch = change(there, wanted)
    assert patch["metadata"]["resourceVersion"] == "17"
    after = patched(there, patch)
    assert says(after, wanted)
    assert after["spec"]["template"] == wanted["spec"]["template"]
    assert (after["spec"]["revisionHistoryLimit"], after["metadata"]["labels"]["others"]) == (10, "stay")


def test_what_belonged_to_another_is_taken_over() -> None:
    there, wanted = stored(stateful(PoolSpec("p"))), stateful(PoolSpec("p"))
    there["metadata"]["ownerReferences"][0]["uid"] = "gone"
    assert not says(there, wanted)
    after = patched(there, change(there, wanted))
    assert after["metadata"]["ownerReferences"] == wanted["metadata"]["ownerReferences"]


def service(kind: str) -> Manifest:
    return objects.service(SITE, PoolSpec("p", exposure=Exposure(kind)), "p-0", "u")


def test_a_services_port_numbers_stay_and_another_types_fields_go() -> None:
    there = stored(service("NodePort"), clusterIP="10.0.0.1")
    there["spec"]["ports"][0]["nodePort"] = 30001
    balanced = patched(there, change(there, service("LoadBalancer")))["spec"]
    assert (balanced["type"], balanced["clusterIP"]) == ("LoadBalancer", "10.0.0.1")
    assert [port.get("nodePort") for port in balanced["ports"]] == [30001, None]
    inner = patched(there, change(there, service("ClusterIP")))["spec"]
    assert "externalTrafficPolicy" not in inner
    assert [port.get("nodePort") for port in inner["ports"]] == [None, None]


@pytest.mark.parametrize(
    ("asked", "wanted", "grows"),
    [("10Gi", "20Gi", True), ("10Gi", "10240Mi", False), ("10Gi", "5Gi", False), ("10737418240", "10Gi", False)],
)
def test_volumes_grow_and_never_shrink(asked: str, wanted: str, grows: bool) -> None:  # noqa: FBT001 - a row
    claim = {
        "metadata": {"resourceVersion": "3"},
        "spec": {"resources": {"requests": {"storage": asked}}},
        "status": {"phase": "Bound"},
    }
    patch = growth(claim, wanted)
    assert (patch is not None) is grows
    if patch is not None:
        assert patched(claim, patch)["spec"]["resources"]["requests"] == {"storage": wanted}
    assert growth({**claim, "status": {"phase": "Pending"}}, wanted) is None
