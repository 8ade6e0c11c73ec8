from __future__ import annotations

from ipaddress import ip_address

import pytest

from services.onion.domain.relay import RelayRefused, RelayRules

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "2001:4860:4860::8888", "64:ff9b::5db8:d822", "::ffff:1.1.1.1"]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "64:ff9b::a00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "5f00::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    RelayRules(["a.example"]).check_addresses([ip_address(address)])


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_all_others_are_refused(address: str) -> None:
    with pytest.raises(RelayRefused, match="public internet"):
        RelayRules(["a.example"]).check_addresses([ip_address(address)])
    RelayRules(["a.example"], anywhere=True).check_addresses([ip_address(address)])


def test_one_bad_address_among_good_ones_is_enough() -> None:
    with pytest.raises(RelayRefused):
        RelayRules(["a.example"]).check_addresses([ip_address("1.1.1.1"), ip_address("10.0.0.1")])


@pytest.mark.parametrize("address", ["8.8.4.4", "::ffff:8.8.4.4", "64:ff9b::808:404", "2002:808:404::"])
def test_a_forbidden_network_is_forbidden_in_every_disguise_and_in_the_laboratory(address: str) -> None:
    rules = RelayRules(["a.example"], ["8.8.4.0/24"], anywhere=True)
    with pytest.raises(RelayRefused):
        rules.check_addresses([ip_address(address)])


def test_hosts_are_listed_or_refused() -> None:
    rules = RelayRules(["Files.Example", "*.open.example", "192.0.2.7", "2001:db8::7"])
    for host in ("files.example", "FILES.EXAMPLE.", "a.open.example", "a.b.open.example", "192.0.2.7", "[2001:db8::7]"):
        rules.check_host(host)
    for host in ("files.example.evil", "evilfiles.example", "open.example", "xopen.example", "127.0.0.1", ""):
        with pytest.raises(RelayRefused, match="listed servers only"):
            rules.check_host(host)


def test_without_hosts_relay_is_off() -> None:
    with pytest.raises(RelayRefused, match="relays to no servers"):
        RelayRules([]).check_host("files.example")


def test_a_forbidden_network_that_is_none_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="network"):
        RelayRules([], ["not a network"])
