"""What the JWTs of NATS' decentralised mode say, and that a server takes them for their size."""

from __future__ import annotations

import base64
import json
from typing import Any

import nacl.exceptions
import nkeys
import pytest
from nacl.signing import VerifyKey

from operators.membership.nats_jwt import AccountLimits, TrustKeys, account_jwt, auth_conf, operator_jwt, user_jwt
from operators.membership.nats_rights import NatsUser, authority_user, custodian_user, node_user
from services.chassis.nats.credentials import Credentials
from services.chassis.nats.link import connect_operation
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.nkey import KeyOf, public_key, read_seed, seed_text, sign
from services.chassis.nats.settings import NatsSettings

KEYS = TrustKeys(*(bytes([number]) * 32 for number in range(1, 5)))
ACCOUNT = public_key(KEYS.account, KeyOf.ACCOUNT)
USER_SEED = b"u" * 32
ISSUED = 1_800_000_000
LIMITS = AccountLimits(disk_bytes=3 << 30)
#: As long as network ids may be.
LONGEST = NetworkNames("n" * 32)
#: nats-server's `max_control_line`, unless it is configured otherwise.
CONTROL_LINE = 4096


def parts(jwt: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    header, claims, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in jwt.split("."))
    return json.loads(header), json.loads(claims), signature


def signer_of(jwt: str) -> bytes:
    """Return the prefix byte of the key that the JWT names as its issuer and that truly signed it."""
    _, claims, signature = parts(jwt)
    raw = base64.b32decode(claims["iss"])
    VerifyKey(raw[1:33]).verify(jwt.rpartition(".")[0].encode(), signature)
    return raw[:1]


def make(user: NatsUser, *, name: str = "node-149") -> str:
    return user_jwt(
        user, account=ACCOUNT, signing_seed=KEYS.signing, name=name, issued=ISSUED, expires=ISSUED + 7_776_000
    )


def test_who_signs_whom() -> None:
    system = public_key(KEYS.system, KeyOf.ACCOUNT)
    operator = operator_jwt(KEYS.operator, name="n-1", system_account=system, issued=ISSUED)
    account = account_jwt(ACCOUNT, operator_seed=KEYS.operator, name="n-1", issued=ISSUED)
    user = make(node_user(LONGEST, "ab" * 32, public_key(USER_SEED)))
    assert signer_of(operator) == signer_of(account) == bytes([nkeys.PREFIX_BYTE_OPERATOR])
    assert signer_of(user) == bytes([nkeys.PREFIX_BYTE_ACCOUNT])
    assert parts(operator)[1]["sub"] == parts(operator)[1]["iss"] == parts(account)[1]["iss"]
    assert parts(user)[1]["iss"] == public_key(KEYS.signing, KeyOf.ACCOUNT)
    assert parts(user)[1]["nats"]["issuer_account"] == parts(account)[1]["sub"] == ACCOUNT
    head, claims, signature = user.split(".")
    forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b".swarm.", b".other."))
    with pytest.raises(nacl.exceptions.BadSignatureError):
        signer_of(f"{head}.{forged.decode().rstrip('=')}.{signature}")


def test_a_user_jwt_says_what_the_rights_say_and_nothing_else() -> None:
    user = NatsUser(public_key(USER_SEED), ("a.b", "c.>"), ("d",))
    header, claims, _ = parts(make(user, name="n"))
    assert header == {"typ": "JWT", "alg": "ed25519-nkey"}
    assert claims.pop("jti")
    assert claims == {
        "iss": public_key(KEYS.signing, KeyOf.ACCOUNT),
        "sub": user.public_key,
        "name": "n",
        "iat": ISSUED,
        "exp": ISSUED + 7_776_000,
        "nats": {
            "type": "user",
            "version": 2,
            "issuer_account": ACCOUNT,
            "pub": {"allow": ["a.b", "c.>"]},
            "sub": {"allow": ["d"]},
            "subs": -1,
            "data": -1,
            "payload": -1,
        },
    }
    answering = NatsUser(user.public_key, (), (), answers=True)
    assert parts(make(answering))[1]["nats"]["resp"] == {"max": 1, "ttl": 10_000_000_000}


def test_the_id_is_that_of_the_content() -> None:
    users = [NatsUser(public_key(USER_SEED), (subject,), ()) for subject in "aab"]
    ids = [parts(make(user))[1]["jti"] for user in users]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("role", ["node", "authority", "custodian"])
def test_connect_with_the_longest_network_id_stays_below_a_servers_limit(role: str) -> None:
    key, node = public_key(USER_SEED), "ab" * 32
    user = {
        "node": node_user(LONGEST, node, key),
        "authority": authority_user(LONGEST, key),
        "custodian": custodian_user(LONGEST, key),
    }[role]
    credentials = Credentials(USER_SEED, make(user))
    settings = NatsSettings(servers=(), name=f"swarm-{node[:8]}", credentials=lambda: credentials)
    size = len(connect_operation(settings, "n" * 32))
    print(f"CONNECT of the {role}: {size} bytes")
    assert size < CONTROL_LINE - 256, "room for one more right"


def test_a_nodes_rights_to_consumers_are_to_its_own() -> None:
    node = "ab" * 32
    calls = [call for call in node_user(LONGEST, node, "U").publish if ".CONSUMER." in call]
    assert {call.rsplit(".", 1)[1] for call in calls} == {node, f"{node}-next"}
    assert not any(call.endswith(("*", ">")) for call in calls)


def test_the_file_for_servers_names_both_accounts_and_no_secret() -> None:
    text = auth_conf(KEYS, name="n-1", limits=LIMITS, issued=ISSUED)
    assert text == auth_conf(KEYS, name="n-1", limits=LIMITS, issued=ISSUED)
    lines = dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)
    account, system = parts(lines[ACCOUNT])[1], parts(lines[lines["system_account"]])[1]
    assert parts(lines["operator"])[1]["nats"]["system_account"] == system["sub"] == lines["system_account"]
    limits = account["nats"]["limits"]
    assert (limits["disk_storage"], limits["streams"], limits["payload"]) == (3 << 30, 8, 1 << 20)
    assert "mem_storage" not in limits, "nothing in memory"
    assert not {"disk_storage", "mem_storage"} & system["nats"]["limits"].keys(), "servers' own account stores nothing"
    assert account["nats"]["signing_keys"] == [public_key(KEYS.signing, KeyOf.ACCOUNT)]
    for seed in (KEYS.operator, KEYS.account, KEYS.signing, KEYS.system):
        assert seed.hex() not in text
        assert seed_text(seed, KeyOf.ACCOUNT) not in text
        assert repr(seed) not in repr(KEYS)


@pytest.mark.parametrize("of", KeyOf)
def test_seeds_in_the_form_of_nats_tools_are_read_back(of: KeyOf) -> None:
    seed = bytes(range(32))
    text = seed_text(seed, of)
    assert text.startswith("S" + of.value)
    assert public_key(seed, of).startswith(of.value)
    assert read_seed(text + "\n", of) == seed
    for other in set(KeyOf) - {of}:
        with pytest.raises(ValueError, match="no NATS seed"):
            read_seed(text, other)
    for broken in ("", "S", text[:-1], text[:-1] + ("A" if text[-1] != "A" else "B"), public_key(seed, of), "ä" * 58):
        with pytest.raises(ValueError, match="no NATS seed") as refused:
            read_seed(broken, of)
        assert len(broken) < 2 or broken not in str(refused.value)


def test_signatures_are_those_of_the_key() -> None:
    signature = base64.urlsafe_b64decode(sign(USER_SEED, b"nonce") + "==")
    VerifyKey(base64.b32decode(public_key(USER_SEED))[1:33]).verify(b"nonce", signature)
