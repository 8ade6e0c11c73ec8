"""The command line as people use it: writing, listening, paths and swarms."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from naisho import AccountId
from naisho.testing import FakeNetwork, Fault
from tests.integration.sdk.cli.calling import Naisho, document


def test_two_terminals_talk(naisho: Naisho, accounts: dict[str, str]) -> None:
    sent = document(naisho("send", accounts["bob"], "Tea?", "--profile", "alice", "--json"))
    assert sent["state"] == "stored"
    assert sent["members_stored"] == sent["members_asked"] > 0
    assert sent["error"] is None
    code, out, _ = naisho("listen", "--once", "--profile", "bob")
    assert code == 0
    assert "alice" in out
    assert "Tea?" in out
    assert f"naisho contact accept {accounts['alice']}" in out
    assert naisho("contact", "accept", accounts["alice"], "--profile", "bob")[0] == 0
    event = document(naisho("--json", "listen", "--count", "1", "--profile", "alice"))
    assert event == {"event": "accepted", "account": accounts["bob"]}
    answer = naisho("send", accounts["alice"], "-", "--profile", "bob", stdin="Yes,\nplease\n")
    assert answer[0] == 0
    assert "keep it" in answer[1]
    heard = document(naisho("listen", "--once", "--json", "--receipts", "--profile", "alice"))
    assert (heard["event"], heard["text"], heard["is_request"]) == ("text", "Yes,\nplease", False)
    assert document(naisho("listen", "--once", "--json", "--profile", "bob"))["event"] == "read"

    history = document(naisho("history", accounts["alice"], "--json", "--profile", "bob"))["messages"]
    assert [message["text"] for message in history] == ["Tea?", "Yes,\nplease"]
    assert history[1]["state"] == "read"
    reaction = naisho("react", accounts["alice"], str(history[0]["sent_ms"]), "🍵", "--profile", "bob", "--json")
    assert document(reaction)["state"] == "stored"
    assert "🍵" in naisho("listen", "--once", "--profile", "alice")[1]
    assert document(naisho("unsend", str(history[1]["sent_ms"]), "--json", "--profile", "bob"))["state"] == "stored"
    assert document(naisho("listen", "--once", "--json", "--profile", "alice"))["event"] == "unsent"
    assert naisho("listen", "--once", "--profile", "alice")[2].strip() == "Nothing new."
    code, out, _ = naisho("history", accounts["bob"], "--profile", "alice")
    assert "deleted for everyone" in out
    contacts = document(naisho("contact", "list", "--json", "--profile", "alice"))["contacts"]
    assert contacts == [{"account_id": accounts["bob"], "display_name": "bob", "state": "contact"}]


def test_the_path_is_shown_with_all_its_caveats(naisho: Naisho, accounts: dict[str, str], network: FakeNetwork) -> None:
    code, out, err = naisho("path", "--profile", "alice")
    assert code == 0
    for word in ("entry", "middle", "exit", "green", "single-operator", "One operator", "Simulated"):
        assert word in out
    assert "nobody checks" in err
    assert "on purpose" in err
    shown = document(naisho("path", "--profile", "alice", "--json"))
    assert shown["light"] == "green"
    assert [hop["node"] for hop in shown["hops"]] == [key.hex() for key in network.carried[-1].hops]
    assert shown["one_operator"] is True
    assert shown["cause"] is None
    assert accounts["alice"] not in out + err

    network.offline = True
    code, out, _ = naisho("path", "--profile", "alice")
    assert code == 1
    assert "orange" in out
    assert "Check the connection" in out
    shown = document(naisho("path", "--profile", "alice", "--json"))
    assert (shown["light"], shown["cause"]["code"]) == ("orange", "entry_unreachable")


def test_a_swarm_is_shown(naisho: Naisho, accounts: dict[str, str], network: FakeNetwork) -> None:
    shown = document(naisho("swarm", accounts["bob"], "--profile", "alice", "--json"))
    members = network.members(AccountId.parse(accounts["bob"]))
    assert {member["node"] for member in shown["members"]} == {node.key.hex() for node in members}
    code, out, _ = naisho("swarm", "--profile", "alice")
    assert code == 0
    assert "nodes keep this mailbox" in out


def test_a_message_that_waits_says_so_and_why(naisho: Naisho, accounts: dict[str, str], network: FakeNetwork) -> None:
    document(naisho("path", "--profile", "alice", "--json"))
    network.offline = True
    code, out, err = naisho("send", accounts["bob"], "hello", "--profile", "alice")
    assert code == 1
    assert "waits on this device" in out
    assert "✗" in err
    assert "→" in err
    waiting = document(naisho("send", accounts["bob"], "hello again", "--profile", "alice", "--json"))
    assert (waiting["state"], waiting["error"]["code"]) == ("queued", "entry_unreachable")
    network.offline = False
    assert naisho("listen", "--once", "--profile", "alice")[0] == 0
    _, out, _ = naisho("listen", "--once", "--json", "--profile", "bob")
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["hello", "hello again"]


def test_somebody_elses_text_cannot_control_the_terminal(naisho: Naisho, accounts: dict[str, str]) -> None:
    naisho("send", accounts["bob"], "\x1b[2Jgone\x07 \x9b31m", "--profile", "alice")
    _, out, _ = naisho("listen", "--once", "--profile", "bob")
    assert "gone" in out
    assert not {"\x1b", "\x07", "\x9b"} & set(out)


@pytest.mark.usefixtures("accounts")
def test_listen_ends_on_ctrl_c_and_closes_the_store(naisho: Naisho) -> None:
    timer = threading.Timer(1.0, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    code, _, err = naisho("listen", "--profile", "alice")
    timer.join()
    assert code == 0
    assert "Listening" in err
    for thread in threading.enumerate():
        if thread.name.startswith("naisho-store"):
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.usefixtures("accounts")
def test_a_silent_swarm_is_told(naisho: Naisho, network: FakeNetwork) -> None:
    network.faults = dict.fromkeys(network.directory.by_key, Fault.BUSY)
    code, out, _ = naisho("path", "--profile", "alice", "--json")
    assert code == 1
    assert json.loads(out)["cause"]["code"] == "overloaded"
