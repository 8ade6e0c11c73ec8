"""Tables of the store, one script per version; statements end with a semicolon and hold no other.

Accounts are 33 raw bytes, times are Unix milliseconds, network ids texts. What belongs to a network (positions, pinned
entries, directory) carries its id, so one account can live on several networks.
"""

from __future__ import annotations

VERSION_1 = """
CREATE TABLE account (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    seed BLOB NOT NULL,
    display_name TEXT NOT NULL,
    created_ms INTEGER NOT NULL
);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- Pinned entries, in order of preference.
CREATE TABLE entry (
    network TEXT NOT NULL,
    rank INTEGER NOT NULL,
    node BLOB NOT NULL,
    pinned_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (network, rank)
);
CREATE TABLE directory (network TEXT PRIMARY KEY, signed BLOB NOT NULL, fetched_ms INTEGER NOT NULL);

CREATE TABLE contact (
    account BLOB PRIMARY KEY,
    display_name TEXT NOT NULL DEFAULT '',
    approved INTEGER NOT NULL DEFAULT 0,
    approved_me INTEGER NOT NULL DEFAULT 0,
    blocked INTEGER NOT NULL DEFAULT 0,
    first_seen_ms INTEGER NOT NULL
);
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    peer BLOB NOT NULL,
    author BLOB NOT NULL,
    sent_ms INTEGER NOT NULL,
    text TEXT NOT NULL,
    state TEXT NOT NULL,
    members_stored INTEGER NOT NULL DEFAULT 0,
    members_asked INTEGER NOT NULL DEFAULT 0,
    own_hash TEXT NOT NULL DEFAULT '',
    UNIQUE (peer, author, sent_ms)
);
CREATE INDEX message_by_author ON message (author, sent_ms);
CREATE TABLE reaction (
    message INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    author BLOB NOT NULL,
    emoji TEXT NOT NULL,
    PRIMARY KEY (message, author, emoji)
);

-- Where the next poll goes on, and what was read already.
CREATE TABLE position (
    network TEXT NOT NULL,
    namespace INTEGER NOT NULL,
    last_hash TEXT NOT NULL,
    PRIMARY KEY (network, namespace)
);
CREATE TABLE seen (hash TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL);
CREATE INDEX seen_by_expiry ON seen (expires_ms);

-- Sealed envelopes on their way. Only those of texts name a message.
CREATE TABLE outgoing (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL,
    mailbox BLOB NOT NULL,
    data BLOB NOT NULL,
    sent_ms INTEGER NOT NULL,
    ttl_ms INTEGER NOT NULL,
    message INTEGER REFERENCES message ON DELETE CASCADE,
    copy INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0
);
"""

MIGRATIONS = (VERSION_1,)
