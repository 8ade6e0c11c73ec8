"""What objects become: defaults, what is refused, and that nothing which we write is dropped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from naisho.protocol.directory import codec
from naisho.protocol.network_file import NETWORK_ID
from tests.crds.cel import judge
from tests.crds.defaulting import completed, pruned
from tests.crds.definitions import Definition, definitions
from tests.crds.quantities import parse_quantity
from tests.crds.validation import complaints, complaints_of

DEFINITIONS = definitions()
POOL, NODE = DEFINITIONS["NodePool"], DEFINITIONS["ServiceNode"]
EXAMPLES = Path(__file__).parent / "examples"


def example(kind: str) -> dict[str, Any]:
    loaded = yaml.safe_load((EXAMPLES / f"{kind.lower()}.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def schema_of(definition: Definition, path: str) -> dict[str, Any]:
    (schema,) = (field.schema for field in definition.fields() if field.path == path)
    return schema


def paths(value: Any, schema: dict[str, Any], path: str = "") -> set[str]:
    """Return the fields that an object names, written as those of a schema."""
    found = {path}
    if isinstance(value, dict):
        for name, inner in value.items():
            if "properties" in schema:
                found |= paths(inner, schema["properties"].get(name, {}), f"{path}.{name}")
            elif "additionalProperties" in schema:
                found |= paths(inner, schema["additionalProperties"], f"{path}{{}}")
    if isinstance(value, list):
        found |= {deeper for item in value for deeper in paths(item, schema.get("items", {}), f"{path}[]")}
    return found


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_an_example_that_names_every_field_is_valid_and_kept_whole(kind: str) -> None:
    definition, resource = DEFINITIONS[kind], example(kind)
    assert paths(resource, definition.schema) >= {field.path for field in definition.fields()}
    assert complaints(definition, resource) == []
    assert judge(definition, None, resource).broken == frozenset()
    assert pruned(definition, resource) == resource
    assert completed(definition, resource) == resource


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_an_unknown_field_is_dropped_at_every_depth(kind: str) -> None:
    definition, resource = DEFINITIONS[kind], example(kind)
    for place in (resource, resource["spec"], resource["status"], resource["status"]["conditions"][0]):
        place["unknown"] = 1
    assert pruned(definition, resource) == example(kind)


def test_a_pool_of_which_nothing_is_said_has_these_defaults() -> None:
    spec = completed(POOL, {"metadata": {"name": "p"}})["spec"]
    assert spec == {
        "replicas": 15,
        "allowUnsafe": False,
        "family": "unnamed",
        "country": "ZZ",
        "storage": {"size": "10Gi"},
        "exposure": {"type": "ClusterIP", "firstPort": 28443},
        "resources": {},
        "scheduling": {"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"},
        "settings": {},
        "podDisruptionBudgets": True,
        "paused": False,
        "autoscaling": {
            "enabled": False,
            "minReplicas": 15,
            "targets": {},
            "tolerancePercent": 10,
            "scaleUpCooldownSeconds": 120,
            "scaleDownCooldownSeconds": 600,
            "stabilizationSeconds": 300,
        },
    }


def test_a_node_is_to_be_active_unless_it_is_said_otherwise() -> None:
    node = completed(NODE, {"metadata": {"name": "p-0"}, "spec": {"pool": "p", "ordinal": 0, "storage": "1Gi"}})
    assert node["spec"]["desired"] == "Active"
    assert "status" not in node


def test_a_node_without_its_place_is_refused() -> None:
    assert complaints(NODE, {"metadata": {}}) == [": 'spec' is a required property"]
    missing = complaints(NODE, {"metadata": {}, "spec": {}})
    assert missing == [f".spec: '{name}' is a required property" for name in ("ordinal", "pool", "storage")]


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("NodePool", ".spec.replicas", -1),
        ("NodePool", ".spec.replicas", 513),
        ("NodePool", ".spec.replicas", "15"),
        ("NodePool", ".spec.family", "-aoi"),
        ("NodePool", ".spec.family", "aoi\n"),
        ("NodePool", ".spec.country", "de"),
        ("NodePool", ".spec.country", "DEU"),
        ("NodePool", ".spec.image", "an image"),
        ("NodePool", ".spec.storage.size", "10 Gi"),
        ("NodePool", ".spec.storage.size", "-10Gi"),
        ("NodePool", ".spec.storage.size", -1),
        ("NodePool", ".spec.storage.size", 0),
        ("NodePool", ".spec.storage.size", 1.5),
        ("NodePool", ".spec.storage.size", "10GiB"),
        ("NodePool", ".spec.storage.size", "1" * 25),
        ("NodePool", ".spec.storage.className", "Fast_"),
        ("NodePool", ".spec.exposure.type", "ExternalName"),
        ("NodePool", ".spec.exposure.firstPort", 1023),
        ("NodePool", ".spec.exposure.firstPort", 65001),
        ("NodePool", ".spec.resources.onion.requests{}", "a lot"),
        ("NodePool", ".spec.scheduling.tolerations[].operator", "NotIn"),
        ("NodePool", ".spec.scheduling.whenUnsatisfiable", "Never"),
        ("NodePool", ".spec.settings.onion{}", 600),
        ("NodePool", ".spec.autoscaling.minReplicas", 2),
        ("NodePool", ".spec.autoscaling.targets.storesPerSecond", 0),
        ("NodePool", ".spec.autoscaling.targets.cpuPercent", 0),
        ("NodePool", ".spec.autoscaling.tolerancePercent", 91),
        ("NodePool", ".status.swarms[].id", "FF"),
        ("NodePool", ".status.conditions[].status", "true"),
        ("NodePool", ".status.conditions[].reason", "not one word"),
        ("ServiceNode", ".spec.pool", "2nd"),
        ("ServiceNode", ".spec.ordinal", -1),
        ("ServiceNode", ".spec.key", "AA" * 32),
        ("ServiceNode", ".spec.key", "aa" * 31),
        ("ServiceNode", ".spec.desired", "Drained"),
        ("ServiceNode", ".status.phase", "Ready"),
        ("ServiceNode", ".status.swarm", "0x00ffffffffffff"),
        ("ServiceNode", ".status.lag", -1),
    ],
)
def test_a_value_out_of_bounds_is_refused(kind: str, path: str, value: object) -> None:
    assert complaints_of(schema_of(DEFINITIONS[kind], path), value)


TEXTS = st.one_of(
    st.text(max_size=34),
    st.text(alphabet="aA0-z9Z", max_size=34),
    st.from_regex(codec.FAMILY, fullmatch=True),
    st.from_regex(codec.COUNTRY, fullmatch=True),
    st.from_regex(codec.FAMILY, fullmatch=True).map(lambda text: f"{text}\n"),
)


@given(text=TEXTS)
def test_family_and_country_are_what_the_directory_takes(text: str) -> None:
    for path, form in ((".spec.family", codec.FAMILY), (".spec.country", codec.COUNTRY)):
        assert (complaints_of(schema_of(POOL, path), text) == []) == (form.fullmatch(text) is not None)


def test_the_longest_of_the_directory_fit() -> None:
    assert complaints_of(schema_of(POOL, ".spec.family"), "a" * 32) == []
    assert complaints_of(schema_of(POOL, ".spec.family"), "a" * 33)
    assert NETWORK_ID.fullmatch("n" * 32)
    assert complaints_of(schema_of(POOL, ".status.networkId"), "n" * 32) == []


@pytest.mark.parametrize("text", ["10Gi", "0.5Gi", ".5Gi", "1.", "500m", "1e3", "1E3", "12E", "5", "1.5e-2", "10240Mi"])
def test_a_quantity_is_one_for_the_schema_and_for_the_rules(text: str) -> None:
    assert complaints_of(schema_of(POOL, ".spec.storage.size"), text) == []
    assert parse_quantity(text) > 0


@given(text=st.text(alphabet="0123456789.eE+-kKMGimnu", max_size=8))
def test_what_the_schema_takes_for_a_quantity_can_be_compared(text: str) -> None:
    """The rule would end in an error instead of an answer otherwise."""
    if complaints_of(schema_of(POOL, ".spec.storage.size"), text) == []:
        parse_quantity(text)


def test_quantities_mean_what_kubernetes_means_by_them() -> None:
    assert parse_quantity("1Ki") == 1024
    assert parse_quantity("1.5Gi") == 1_610_612_736
    assert parse_quantity("500m") * 2 == 1
    assert parse_quantity("1E") == parse_quantity("1e18") == 10**18
    assert parse_quantity("1Ei") == 2**60
    for wrong in ("", "Gi", "1 Gi", "-1", "1e", "1ki", "0x10"):
        with pytest.raises(ValueError, match="no quantity"):
            parse_quantity(wrong)


def test_patterns_are_anchored() -> None:
    for definition in DEFINITIONS.values():
        for field in definition.fields():
            if "pattern" in field.schema:
                assert re.fullmatch(r"\^.*\$", field.schema["pattern"]), field.path
