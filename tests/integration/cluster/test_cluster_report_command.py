"""``naisho cluster report``: nothing that names or opens anything leaves the cluster in a bundle.

Canaries are planted wherever a network may hold something secret, and the finished archive is searched for them. The
positive control makes the bundle without redaction and finds them, so the search can fail.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kmock
import pytest
import yaml

from operators.cluster import object_redaction, report
from operators.cluster.names import CONFIG_MAP, EVENT, POD, SECRET, SERVICE, SERVICE_NODE
from operators.cluster.redaction import Redactor
from tests.integration.cluster.calling import Naisho, put, where
from tests.unit.cluster import network_objects as made

ACCOUNT = "05" + "c4" * 32
HEX_KEY = "5eedc0de" * 8
SEED = "SUAGC3DPMFXGC4TZMRXWEZLSNFXGOYLOMRZXIZLDOR2GK4TJONSXE4TUMQ"
JWT = "eyJ0eXAiOiJKV1QifQ.eyJzdWIiOiJjYW5hcnkifQ.Y2FuYXJ5LXNpZ25hdHVyZQ"
PEM = "-----BEGIN EC PRIVATE KEY-----\nTUhjQ0FRRUVJQ2FuYXJ5\nY2FuYXJ5\n-----END EC PRIVATE KEY-----\n"
BASE64_KEY = base64.b64encode(bytes(range(100, 132))).decode()
ADDRESS, ADDRESS6 = "198.51.100.23", "2001:db8:cafe::23"
MACHINE, HOST = "ip-10-20-30-40.ec2.internal", "a1b2c3.elb.example.org"
WORDS = "lamp otter fjord canary"
SECRET_DATA = base64.b64encode(b"the contents of a Secret, which nobody may read").decode()

#: What may not be in a bundle in any spelling, by where it was planted.
CANARIES = {
    "account id": ACCOUNT,
    "hex key": HEX_KEY,
    "beginning of a key": made.key(0)[:12],
    "node key": made.key(0),
    "seed": SEED,
    "JWT": JWT.split(".")[1],
    "JWT's signature": JWT.split(".")[2],
    "PEM": "TUhjQ0FRRUVJQ2FuYXJ5",
    "PEM's last line": "Y2FuYXJ5\n",
    "base64 key": BASE64_KEY,
    "IPv4 address": ADDRESS,
    "IPv6 address": ADDRESS6,
    "Service address": "10.96.0.1:8443",
    "machine": MACHINE,
    "host": HOST,
    "words in a variable": WORDS,
    "a Secret's data": SECRET_DATA,
    "a Secret as it was applied": "applied-canary",
    "a password": "hunter2-canary",
}


def plant(server: kmock.KubernetesEmulator) -> None:
    secret = {**made.thing(f"{made.FULL}-authority"), "data": {"root.key": SECRET_DATA}}
    secret["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"k": "applied-canary"}}),
    }
    put(server, SECRET, secret)
    told = f"account {ACCOUNT} at {ADDRESS} and [{ADDRESS6}]:8443, user {JWT}"
    node = made.node(0, address=f"{HOST}:8443", machine=MACHINE, reason=told)
    node["metadata"]["annotations"] = {"naisho.dev/note": told, "example.org/free": WORDS}
    put(server, SERVICE_NODE, node, made.node(1, address="10.96.0.1:8443"))
    pod = made.pod(f"{made.FULL}-0-0", "node", restarts=1, nodeName=MACHINE)
    pod["status"]["hostIP"] = ADDRESS
    pod["spec"]["containers"][0]["env"] = [
        {"name": "NAISHO_ONION_RATE_BURST", "value": "900"},
        *({"name": f"V{number}", "value": value} for number, value in enumerate([WORDS, SEED, HEX_KEY, BASE64_KEY])),
    ]
    pod["spec"]["containers"][0]["args"] = [f"--password=hunter2-canary --key {HEX_KEY}"]
    put(server, POD, pod)
    balancer = {**made.thing(f"{made.FULL}-0"), "status": {"loadBalancer": {"ingress": [{"hostname": HOST}]}}}
    put(server, SERVICE, balancer)
    register = {
        **made.thing(f"{made.FULL}-register"),
        "data": {"register.json": json.dumps({"0": made.key(0), "p": PEM})},
    }
    put(server, CONFIG_MAP, register)
    about = {"kind": "Pod", "name": f"{made.FULL}-9-0"}
    event = {"metadata": {"name": "e1"}, "involvedObject": about, "message": told, "source": {"host": MACHINE}}
    foreign = {
        "metadata": {"name": "e2"},
        "involvedObject": {"kind": "Pod", "name": "postgres-0"},
        "message": "foreign",
    }
    put(server, EVENT, event, foreign)
    lines = f"node {made.key(0)[:12]} of {HOST} on {MACHINE}\n{told}\n{PEM}{SEED} {HEX_KEY} {BASE64_KEY} {ADDRESS}\n"
    server["get", f"/api/v1/namespaces/{made.NAMESPACE}/pods/{pod['metadata']['name']}/log"] << lines.encode()


def read(file: Path) -> Iterator[tuple[str, str]]:
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            yield from ((name, archive.read(name).decode()) for name in archive.namelist())
        return
    with tarfile.open(file) as packed:
        for member in packed.getmembers():
            content = packed.extractfile(member)
            assert isinstance(content, io.BufferedIOBase)
            yield member.name, content.read().decode()


def found_in(file: Path) -> set[str]:
    """Return which canaries are in a bundle: in its texts, in its names, and in YAML as it is read."""
    everything = []
    for name, text in read(file):
        everything += [name, text]
        if name.endswith(".yaml"):
            everything.append("\n".join(_strings(yaml.safe_load(text))))
    whole = "\n".join(everything)
    return {canary for canary, value in CANARIES.items() if value.lower() in whole.lower()}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    else:
        yield str(value)


@pytest.fixture
def planted(server: kmock.KubernetesEmulator) -> kmock.KubernetesEmulator:
    plant(server)
    return server


@pytest.mark.parametrize("name", ["bundle.tar.gz", "bundle.zip"])
@pytest.mark.usefixtures("planted")
async def test_no_canary_is_in_a_bundle(naisho: Naisho, tmp_path: Path, name: str) -> None:
    said = await naisho("report", "-o", str(tmp_path / name))
    assert said.code == 0, said.err
    assert found_in(tmp_path / name) == set()
    assert not any(value in said.out + said.err for value in CANARIES.values())
    assert (tmp_path / name).stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("planted")
async def test_every_canary_is_found_without_redaction(
    naisho: Naisho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Redactor, "text", lambda _self, text: text)
    monkeypatch.setattr(report, "redact_object", lambda _redactor, thing: thing)
    monkeypatch.setattr(report, "describe_secret", lambda _redactor, secret: secret)
    said = await naisho("report", "-o", str(tmp_path / "control.tar.gz"))
    assert said.code == 0, said.err
    assert found_in(tmp_path / "control.tar.gz") == set(CANARIES)


@pytest.mark.usefixtures("planted")
async def test_what_a_reader_needs_is_in_a_bundle(naisho: Naisho, tmp_path: Path) -> None:
    said = await naisho("report", "-o", str(tmp_path / "b.tar.gz"), "--json")
    texts = dict(read(tmp_path / "b.tar.gz"))
    assert sorted({*said.document["files"], "README.md"}) == sorted(texts)
    status = json.loads(texts["status.json"])
    assert [pool["name"] for pool in status["pools"]] == [made.FULL]
    node = yaml.safe_load(texts[f"objects/servicenodes/{made.FULL}-0.yaml"])
    log = texts[f"logs/{made.FULL}-0-0/node.log"]
    assert node["status"]["machine"] in log
    assert node["status"]["machine"].startswith("<machine-")
    assert node["spec"]["key"] in log
    assert node["status"]["address"].removesuffix(":8443") in log
    assert f"logs/{made.FULL}-0-0/node.previous.log" in texts
    assert f"objects/nodepools/{made.FULL}.yaml" in texts
    assert [secret["name"] for secret in yaml.safe_load(texts["secrets.yaml"])] == [f"{made.FULL}-authority"]
    assert [event["involvedObject"]["name"] for event in yaml.safe_load(texts["events.yaml"])] == [f"{made.FULL}-9-0"]
    assert yaml.safe_load(texts["versions.yaml"])["kubernetes"] == "v1.33.1"
    assert "900" in texts[f"objects/pods/{made.FULL}-0-0.yaml"]
    assert said.document["pseudonyms"]["key"] >= 6


async def test_secrets_are_asked_for_without_their_data(
    planted: kmock.KubernetesEmulator, naisho: Naisho, tmp_path: Path
) -> None:
    await naisho("report", "-o", str(tmp_path / "b.zip"))
    asked = list(planted["get", kmock.resource(where(SECRET))])
    assert asked
    assert all("PartialObjectMetadataList" in request.headers["Accept"] for request in asked)


async def test_what_may_not_be_read_is_named_and_the_rest_is_there(
    planted: kmock.KubernetesEmulator, naisho: Naisho, tmp_path: Path
) -> None:
    planted["get", kmock.resource(where(CONFIG_MAP))] << 403 << {"message": "no"}
    said = await naisho("report", "-o", str(tmp_path / "b.zip"), "--json")
    assert said.code == 0
    assert any(sentence.startswith("configmaps: ") for sentence in said.document["left_out"])
    texts = dict(read(tmp_path / "b.zip"))
    assert "configmaps" in texts["left-out.yaml"]
    assert f"objects/pods/{made.FULL}-0-0.yaml" in texts


async def test_logs_are_bounded_and_keep_their_end(
    planted: kmock.KubernetesEmulator, naisho: Naisho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/v1/namespaces/{made.NAMESPACE}/pods/{made.FULL}-operator-1/log"
    planted["get", path] << b"".join(b"line %d\n" % number for number in range(100_000))
    await naisho("report", "-o", str(tmp_path / "b.zip"))
    log = dict(read(tmp_path / "b.zip"))[f"logs/{made.FULL}-operator-1/operator.log"]
    assert len(log) <= report.LOG_BYTES
    assert log.startswith("line ")
    assert log.endswith("line 99999\n")
    monkeypatch.setattr(report, "ALL_LOG_BYTES", 1000)
    said = await naisho("report", "-o", str(tmp_path / "small.zip"), "--json")
    assert any("holds 1000 bytes of logs already" in sentence for sentence in said.document["left_out"])


@pytest.mark.parametrize(("name", "why"), [("there.zip", "File exists"), ("b.rar", ".tar.gz"), ("no/b.zip", "No such")])
async def test_a_file_that_cannot_be_written_is_told(naisho: Naisho, tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "there.zip").write_text("mine")
    said = await naisho("report", "-o", str(tmp_path / name), "--json")
    assert (said.code, said.error["code"]) == (1, "bad_output")
    assert why in said.error["why"]
    assert (tmp_path / "there.zip").read_text() == "mine"


def test_the_redaction_of_objects_is_what_the_control_turns_off() -> None:
    assert vars(report)["redact_object"] is object_redaction.redact_object
    assert vars(report)["describe_secret"] is object_redaction.describe_secret
