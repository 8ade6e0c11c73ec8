"""Taking out of a text what nobody else may read. Pure.

What tells things apart (keys, addresses, accounts, machines) gets a pseudonym, the same one throughout a bundle, so
that a reader can still follow it: ``<key-3>``. What opens something (seeds, tokens, private keys) is gone:
``<redacted>``. In doubt a text loses more than it must. No pattern takes more than linear time: texts are others'.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

GONE: Final = "<redacted>"

_PEM: Final = re.compile(r"-----BEGIN [^-]+-----.*?(-----END [^-]+-----|\Z)", re.DOTALL)
#: A text that was cut at its beginning may start inside a key.
_PEM_REST: Final = re.compile(r"\A(?:(?!-----BEGIN ).)*?-----END [^-]+-----", re.DOTALL)
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?")
_URL_LOGIN: Final = re.compile(r"(?<=://)[^\s/@]+@")
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_NAMED: Final = re.compile(
    r"(?i)([\w.-]{0,40}(?:passw(?:or)?d|passphrase|token|secret|seed|private[_-]?key|api[_-]?key|credential)s?)"
    r"""(\\?["']?\s{0,8}[:=]\s{0,8}[\[({]?\\?["']?)([^\s"',;}\\]+)"""
)
#: NATS' own spelling of keys: base32, 56 characters of a public key, 58 of a seed (which begins with S).
_NKEY: Final = re.compile(r"(?<![A-Z0-9])([A-Z])[A-Z2-7]{50,}(?![A-Z0-9])")
_COLON_HEX: Final = re.compile(r"(?<![\w:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5,}(?![\w:])")
_ACCOUNT: Final = re.compile(r"(?<![0-9A-Za-z])05[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{32,}")
_SHORTENED: Final = re.compile(r"(?<![0-9A-Za-z])([0-9a-f]{6,31})(?:…|\.\.\.?)[0-9a-f]{4,}")
_HEX_WORD: Final = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8,31}(?![0-9A-Za-z])")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(\.[\w-]+)+")
_NAMED_HOST: Final = re.compile(
    r"(?:(?<=://)[\w-]+(?:\.[\w-]+)+|(?<![\w.<-])[A-Za-z][\w-]*(?:\.[\w-]+)*\.[A-Za-z]{2,}(?=:\d))"
)
_IPV6: Final = re.compile(r"(?<![\w:.])(?=[0-9a-fA-F:]*:[0-9a-fA-F]*:)[0-9a-fA-F:]+(?:\d+\.\d+\.\d+\.\d+)?(?![\w:])")
_IPV4: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d]|\.\d)")

_INSIDE: Final = (".svc", ".cluster.local", ".local")
#: Sites that messages of the programs themselves point to.
_PUBLIC: Final = ("kubernetes.io", "k8s.io", "github.com", "nats.io", "pypi.org", "naisho.dev", "readthedocs.io")
#: A word of this many hex digits is the beginning of a key only by purpose.
_PREFIX: Final = 8
_KEY_DIGITS: Final = 64


class Redactor:
    """Redacts texts, giving pseudonyms in the order of appearance."""

    def __init__(self) -> None:
        self._pseudonyms: dict[tuple[str, str], str] = {}
        self._given: Counter[str] = Counter()
        self._keys: dict[str, set[str]] = {}
        self._names: dict[str, str] = {}
        self._name_pattern: re.Pattern[str] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many pseudonyms of each kind were given."""
        return dict(sorted(self._given.items()))

    def learn(self, kind: str, names: Iterable[str]) -> None:
        """Say that these texts name something (machines, hosts), which no pattern would find."""
        self._names |= {name: kind for name in names if name}
        # A machine that is called "node" must not take that word out of every sentence.
        telling = sorted((name for name in self._names if re.search(r"[\d.-]", name)), key=len, reverse=True)
        joined = "|".join(map(re.escape, telling))
        self._name_pattern = re.compile(rf"(?<![\w-])(?:{joined})(?![\w-])") if telling else None

    def learn_keys(self, text: str) -> None:
        """Remember the keys in a text, so that their beginnings are found elsewhere."""
        for found in _HEX.findall(text):
            if len(found) == _KEY_DIGITS:
                self._keys.setdefault(found[:_PREFIX].lower(), set()).add(found.lower())

    def text(self, text: str) -> str:
        """Return a text without secrets and with pseudonyms."""
        if text in self._names:
            return self._name(text)
        text = self._without_secrets(text)
        text = _COLON_HEX.sub(lambda m: self._pseudonym("hex", m[0]), text)
        text = _ACCOUNT.sub(lambda m: self._pseudonym("account", m[0]), text)
        text = _HEX.sub(lambda m: self._pseudonym("key" if len(m[0]) == _KEY_DIGITS else "hex", m[0]), text)
        text = _BASE64.sub(_long_run, text)
        text = _EMAIL.sub(GONE, text)
        if self._name_pattern is not None:
            text = self._name_pattern.sub(lambda m: self._name(m[0]), text)
        text = _NAMED_HOST.sub(self._host, text)
        text = _IPV6.sub(self._address, text)
        text = _IPV4.sub(self._address, text)
        text = _SHORTENED.sub(lambda m: self._beginning(m[1]) or self._pseudonym("hex", m[0]), text)
        return _HEX_WORD.sub(lambda m: self._beginning(m[0]) or m[0], text)

    def _without_secrets(self, text: str) -> str:
        text = _PEM_REST.sub(GONE, text) if "-----END " in text else text
        text = _PEM.sub(GONE, text)
        text = _JWT.sub(GONE, text)
        text = _URL_LOGIN.sub(f"{GONE}@", text)
        text = _BEARER.sub(rf"\1 {GONE}", text)
        text = _NAMED.sub(rf"\1\2{GONE}", text)
        return _NKEY.sub(lambda m: GONE if m[1] == "S" else self._pseudonym("nkey", m[0], fold=False), text)

    def _pseudonym(self, kind: str, value: str, *, fold: bool = True) -> str:
        known = (kind, value.lower() if fold else value)
        if known not in self._pseudonyms:
            self._given[kind] += 1
            self._pseudonyms[known] = f"<{kind}-{self._given[kind]}>"
        return self._pseudonyms[known]

    def _name(self, name: str) -> str:
        return self._pseudonym(self._names[name], name)

    def _beginning(self, digits: str) -> str | None:
        keys = [key for key in self._keys.get(digits[:_PREFIX], ()) if key.startswith(digits)]
        return self._pseudonym("key", keys[0]) if keys else None

    def _host(self, found: re.Match[str]) -> str:
        host = found[0].lower()
        if host.endswith(_INSIDE) or any(host == site or host.endswith(f".{site}") for site in _PUBLIC):
            return found[0]
        return found[0] if _IPV4.fullmatch(host) else self._pseudonym("host", host)

    def _address(self, found: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(found[0])
        except ValueError:
            return found[0]
        if address.is_loopback or address.is_unspecified:
            return found[0]
        return self._pseudonym("ip", address.compressed)


def _long_run(found: re.Match[str]) -> str:
    """Redact what looks like bytes in base64; long names of objects and paths are in lower case."""
    run = found[0]
    return GONE if re.search(r"[A-Z]", run) and re.search(r"[a-z]", run) else run
