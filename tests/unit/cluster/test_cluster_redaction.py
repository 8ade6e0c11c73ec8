"""What the redactor takes out of a text, and what it leaves."""

from __future__ import annotations

import base64
import os
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.cluster.object_redaction import describe_secret, names_in, redact_object
from operators.cluster.redaction import Redactor
from tests.unit.cluster import network_objects as made

KEY = "8f" * 32
ACCOUNT = "05" + "3c" * 32
SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3V"
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJBQkMifQ.c2lnbmF0dXJl"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\nabc=\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"stored for {ACCOUNT}", ACCOUNT),
        (f"stored for {ACCOUNT.upper()}", ACCOUNT.upper()),
        (f"key={KEY}", KEY),
        (f"prefix{KEY}suffix", KEY),
        ("tag 00112233445566778899aabbccddeeff", "00112233445566778899aabbccddeeff"),
        (f"seed {SEED} read", SEED),
        (f"user {PUBLIC} connected", PUBLIC),
        (f"authenticated with {JWT}", JWT.split(".")[1]),
        (f"authenticated with {JWT}", JWT.split(".")[2]),
        (PEM, "MC4CAQAwBQYDK2VwBCIEIJ"),
        (PEM.replace("\n", "\\n"), "MC4CAQAwBQYDK2VwBCIEIJ"),
        (PEM[:-30], "MC4CAQAwBQYDK2VwBCIEIJ"),
        (PEM[30:] + "\nnext", "CAQAwBQYDK2VwBCIE"),
        (f"raw {base64.b64encode(bytes(range(32))).decode()}", "AAECAwQF"),
        ('{"password": "hunter2"}', "hunter2"),
        ("NATS_TOKEN=s3cr3t-token", "s3cr3t"),
        ("tokens: [abcdefg]", "abcdefg"),
        ("Authorization: Bearer abc.def.ghi", "abc.def"),
        ("nats://user:pa55word@nats:4222", "pa55word"),
        ("listening at 203.0.113.7:8443", "203.0.113.7"),
        ("listening at [2001:db8::17]:8443", "2001:db8::17"),
        ("from 2001:DB8:0:0:0:0:0:17.", "2001:DB8:0:0:0:0:0:17"),
        ("seed https://node7.example.org/directory", "node7.example.org"),
        ("dial node7.example.org:8443: refused", "node7.example.org"),
        ("mail admin@example.org", "admin@example.org"),
        ("fingerprint AB:CD:EF:01:23:45:67:89", "AB:CD:EF"),
    ],
)
def test_what_names_or_opens_something_is_gone(text: str, secret: str) -> None:
    assert secret in text or secret.replace("\n", "\\n") in text
    assert secret not in Redactor().text(text)
    assert secret not in Redactor().text(f"2026-08-22T12:00:00Z {text}\nnext line")


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-22T12:00:00.123456789Z info swarm 00ffffffffffffff has 6 members, position 1234567890123456",
        "pod prod-naisho-operator-7d9f8b6c5d-x2x4z on port 8443 took 12.5ms",
        "listening on 0.0.0.0:8443, [::1]:9101 and 127.0.0.1:9102",
        "nats://prod-naisho-nats-0.prod-naisho-nats.mail.svc:4222",
        'MountVolume.SetUp failed for volume "keys" : secret "prod-naisho-3-keys" not found',
        "kubernetes v1.20.2+lab, python 3.11.2, naisho 0.1.0",
        "  File /usr/local/lib/python3.11/dist-packages/services/swarm/adapters/follower.py, line 12",
        "uid 0e8f3c1a-7b1d-4c58-9c3e-0d5a1c2b3d4e",
        "see https://kubernetes.io/docs/concepts and https://github.com/nats-io/nats-server/issues/1",
    ],
)
def test_what_a_reader_needs_stays(text: str) -> None:
    redactor = Redactor()
    redactor.learn_keys(made.key(3))
    assert redactor.text(text) == text


def test_a_pseudonym_is_the_same_throughout_and_different_things_have_different_ones() -> None:
    redactor = Redactor()
    first = redactor.text(f"{KEY} at 10.0.0.1")
    assert first == "<key-1> at <ip-1>"
    assert redactor.text(f"https://10.0.0.1:8443 is {KEY.upper()}, not {'ab' * 32} at 10.0.0.2") == (
        "https://<ip-1>:8443 is <key-1>, not <key-2> at <ip-2>"
    )
    assert redactor.text("2001:db8::1 = 2001:0db8:0::1") == "<ip-3> = <ip-3>"
    assert redactor.counts == {"ip": 3, "key": 2}


def test_the_beginning_of_a_known_key_is_the_key() -> None:
    redactor = Redactor()
    redactor.learn_keys(f'{{"key": "{KEY}"}}')
    assert redactor.text(f"node {KEY[:8]} and {KEY[:12]} and {KEY[:8]}…{KEY[-4:]} and 12345678") == (
        "node <key-1> and <key-1> and <key-1> and 12345678"
    )


def test_names_of_machines_and_hosts_are_found_in_texts_once_they_are_known() -> None:
    redactor = Redactor()
    redactor.learn("machine", ["ip-10-0-0-1.ec2.internal", "node"])
    redactor.learn("host", ["lb-17.example.org"])
    assert redactor.text("bound to ip-10-0-0-1.ec2.internal behind lb-17.example.org; a node joined") == (
        "bound to <machine-1> behind <host-1>; a node joined"
    )
    assert redactor.text("node") == "<machine-2>"  # as a field's whole value


def test_objects_tell_which_names_they_hold() -> None:
    balancer = {"metadata": {"name": "s"}, "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.org"}]}}}
    named = made.node(0, address="node0.example.org:443")
    assert set(names_in(balancer)) == {("host", "lb.example.org")}
    assert set(names_in(named)) == {("machine", "worker-0"), ("host", "node0.example.org")}
    assert set(names_in(made.node(0))) == {("machine", "worker-0")}


def test_fields_by_which_anybody_may_say_anything_say_nothing() -> None:
    container = {
        "env": [
            {"name": "NAISHO_ONION_RATE_BURST", "value": "900"},
            {"name": "NAISHO_ONION_KEY", "value": "/etc/naisho/keys/node.key"},
            {"name": "WORDS", "value": "correct horse battery staple"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "token"}}},
        ],
    }
    annotations = {"naisho.dev/drain": "true", "kubectl.kubernetes.io/last-applied-configuration": "{secrets}"}
    thing = {
        "metadata": {"name": "p", "annotations": annotations, "managedFields": [{"manager": "me"}]},
        "spec": {"containers": [container]},
        "binaryData": {"blob": "AAAA"},
        "password": "hunter2",
    }
    redacted: dict[str, Any] = redact_object(Redactor(), thing)
    values = {v["name"]: v.get("value") for v in redacted["spec"]["containers"][0]["env"]}
    assert values == {
        "NAISHO_ONION_RATE_BURST": "900",
        "NAISHO_ONION_KEY": "/etc/naisho/keys/node.key",
        "WORDS": "<redacted>",
        "TOKEN": None,
    }
    assert redacted["metadata"]["annotations"] == {
        "naisho.dev/drain": "true",
        "kubectl.kubernetes.io/last-applied-configuration": "<redacted>",
    }
    assert "managedFields" not in redacted["metadata"]
    assert redacted["binaryData"] == {"blob": "<redacted>"}
    assert redacted["password"] == "<redacted>"


def test_of_a_secret_nothing_is_told_but_that_it_is_there() -> None:
    secret = made.thing("prod-naisho-authority", data={"root.key": "QUJD"}, stringData={"x": "y"})
    secret["metadata"]["annotations"] = {"note": "the words"}
    assert describe_secret(Redactor(), secret) == {
        "name": "prod-naisho-authority",
        "created": None,
        "labels": made.labels("node"),
        "annotations": ["note"],
    }


def test_an_image_keeps_its_digest_and_loses_its_registry() -> None:
    digest = f"sha256:{'1f' * 32}"
    redacted = redact_object(Redactor(), {"imageID": f"registry.example.org:5000/naisho@{digest}", "note": digest})
    assert redacted == {
        "imageID": f"<host-1>/naisho@{digest}".replace("<host-1>", "<host-1>:5000"),
        "note": "sha256:<key-1>",
    }


@given(st.binary(min_size=32, max_size=32), st.text(max_size=40), st.text(max_size=40))
def test_no_key_survives_whatever_stands_around_it(secret: bytes, before: str, after: str) -> None:
    redacted = Redactor().text(f"{before}{secret.hex()}{after}")
    assert secret.hex() not in redacted.lower()


@pytest.mark.parametrize(
    "piece",
    ["a", "a.", "A1", "-", ":", "::1", "0", "05", "a@", "eyJ", "eyJabcdefgh.", "token", "=", "-----BEGIN ", " "],
)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (262_144 // len(piece))
    began = time.process_time()
    Redactor().text(text)
    Redactor().text(f"{text}-----END X-----")
    assert time.process_time() - began < 10.0


def test_random_base64_is_never_taken_for_a_name() -> None:
    for _ in range(200):
        secret = base64.b64encode(os.urandom(32)).decode()
        assert secret[:43] not in Redactor().text(f"value {secret}")
