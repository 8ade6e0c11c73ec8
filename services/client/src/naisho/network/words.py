"""What other machines say, made fit to be shown."""

from __future__ import annotations

import re

MOST_CHARACTERS = 200
#: Keys, accounts, hashes and signatures in hex or base64.
IDENTIFIER = re.compile(r"[0-9a-fA-F]{16,}|[A-Za-z0-9+/]{40,}={0,2}")


def plain_words(text: object) -> str:
    """Return a node's text cut short, without what could disturb a terminal or name an account, message or node.

    >>> plain_words("Next node not found: " + 64 * "a" + chr(27))
    'Next node not found: …'
    """
    printable = "".join(c if c.isprintable() else " " for c in str(text)[:MOST_CHARACTERS])
    return IDENTIFIER.sub("…", printable).strip() or "–"
