"""Secrets are files: no ConfigMap and no variable holds one, and not everybody may read them."""

from __future__ import annotations

import re
from typing import Final

from tests.charts.rendering import Rendering, leaves

#: What the kinds of secrets look like that there are: seeds of NATS keys, JWTs, PEM keys, 64 hexadecimal digits.
_LOOKS: Final = re.compile(
    r"\bS[UAONC][A-Z2-7]{50,}|\beyJ[\w-]{20,}|PRIVATE KEY|(?<![0-9a-f:])[0-9a-f]{64}(?![0-9a-f])"
)
_OWNER_AND_GROUP: Final = 0o440


def test_the_chart_makes_no_secrets(rendering: Rendering) -> None:
    assert rendering.of_kind("Secret") == []


def test_no_config_map_holds_what_looks_like_a_secret(rendering: Rendering) -> None:
    for manifest in rendering.of_kind("ConfigMap"):
        for path, value in leaves(manifest["data"]):
            text = str(value).replace(str(rendering.values["image"]["digest"] or "-"), "")
            if rendering.values["pool"]["image"]:
                text = text.replace(rendering.values["pool"]["image"], "")
            assert not _LOOKS.search(text), path


def test_no_variable_holds_a_secret(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for container in load.containers:
            assert "envFrom" not in container
            for entry in container.get("env", []):
                assert "secretKeyRef" not in entry.get("valueFrom", {}), entry["name"]
                assert not _LOOKS.search(entry.get("value", "")), entry["name"]


def test_secrets_are_mounted_for_owner_and_group(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for volume in load.spec["volumes"]:
            held = volume.get("secret") or volume.get("projected") or {}
            if "secret" in volume or any("secret" in source for source in held.get("sources", [])):
                assert held["defaultMode"] == _OWNER_AND_GROUP, volume["name"]
                assert load.spec["securityContext"]["fsGroup"] == 10001


def test_what_is_taken_for_a_secret_would_be_found() -> None:
    for planted in (
        "seed = SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4",
        'jwt: "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.x"',
        "-----BEGIN EC PRIVATE KEY-----",
        "key " + "0a" * 32,
    ):
        assert _LOOKS.search(planted)
