"""What the service measures: sums over everybody; nothing that tells one mailbox or member from another."""

from __future__ import annotations

from typing import Final

from services.chassis.telemetry import Instrument, Kind

OUTCOMES: Final = ("answered", "refused")

COMMANDS: Final = Instrument(
    Kind.COUNTER,
    "naisho_swarm_commands",
    "Commands that change mailboxes: answered, or refused for want of room, log or members in time.",
    labels={"outcome": OUTCOMES},
)
SHED: Final = Instrument(Kind.COUNTER, "naisho_swarm_shed", "Commands refused before any work: too many under way.")
LIMIT: Final = Instrument(Kind.GAUGE, "naisho_swarm_limit", "Commands that may be under way, as learnt.")
IN_LINE: Final = Instrument(Kind.GAUGE, "naisho_swarm_in_line", "Requests that wait until their commands are let in.")
UNDER_WAY: Final = Instrument(Kind.GAUGE, "naisho_swarm_under_way", "Commands that wait for the log or for members.")
SIGNED: Final = Instrument(Kind.COUNTER, "naisho_swarm_signed", "Results that this member signed.")
SILENT: Final = Instrument(Kind.GAUGE, "naisho_swarm_silent_members", "Members that let inquiries pass lately.")
POSITION: Final = Instrument(Kind.GAUGE, "naisho_swarm_position", "Sequence of the log up to which all is on the disk.")
BEHIND: Final = Instrument(Kind.GAUGE, "naisho_swarm_behind", "Events that wait in the log to be folded.")
HELD: Final = Instrument(Kind.GAUGE, "naisho_swarm_held_shards", "Shards that the store holds whole.")
STORED: Final = Instrument(
    Kind.GAUGE, "naisho_swarm_stored", "Bytes of the bodies of all messages that the store holds.", unit="By"
)
MENDING: Final = Instrument(
    Kind.GAUGE, "naisho_swarm_mending", "1 while the log gets again what it lost and nothing is acknowledged."
)
CHANGED_LOGS: Final = Instrument(
    Kind.COUNTER, "naisho_swarm_changed_logs", "How often the log was found to be another than before."
)
APPENDED_AGAIN: Final = Instrument(
    Kind.COUNTER, "naisho_swarm_appended_again", "Events appended again because the log lacked them."
)
UNREADABLE: Final = Instrument(
    Kind.COUNTER, "naisho_swarm_unreadable", "Events of the log that this version could not read and skipped."
)
UNOPENED: Final = Instrument(
    Kind.COUNTER, "naisho_swarm_unopened", "Living messages left out of listings because their key is gone."
)

INSTRUMENTS: Final = (
    COMMANDS,
    SHED,
    LIMIT,
    UNDER_WAY,
    IN_LINE,
    SIGNED,
    SILENT,
    POSITION,
    BEHIND,
    HELD,
    STORED,
    MENDING,
    CHANGED_LOGS,
    APPENDED_AGAIN,
    UNREADABLE,
    UNOPENED,
)

BACKLOG: Final = Instrument(
    Kind.GAUGE, "naisho_custodian_backlog", "Copies of deleted messages that are due and still in the log."
)
COPIES: Final = Instrument(Kind.COUNTER, "naisho_custodian_copies", "Copies of messages erased from the log.")
KEYS: Final = Instrument(Kind.COUNTER, "naisho_custodian_keys", "Keys of passed periods erased.")
SPARED: Final = Instrument(
    Kind.COUNTER, "naisho_custodian_spared", "Copies that were gone already, or something else when their turn came."
)

CUSTODY: Final = (BACKLOG, COPIES, KEYS, SPARED)
