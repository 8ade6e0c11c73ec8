"""What the service measures: sums over everybody, by classes of status; nothing that tells one request from another."""

from __future__ import annotations

from typing import Final

from services.chassis.telemetry import Instrument, Kind

STATUSES: Final = {"2xx": 2, "3xx": 3, "4xx": 4, "5xx": 5}
OUTCOMES: Final = ("answered", "refused", "failed")

ANSWERS: Final = Instrument(
    Kind.COUNTER,
    "naisho_onion_answers",
    "Answers given over HTTPS, by class of status code.",
    labels={"status": tuple(STATUSES)},
)
LAYERS: Final = Instrument(
    Kind.COUNTER,
    "naisho_onion_layers",
    "Layers that came from other nodes: answered, refused for want of room, failed.",
    labels={"outcome": OUTCOMES},
)
CONNECTIONS: Final = Instrument(Kind.GAUGE, "naisho_onion_connections", "Open HTTPS connections.")
UNDER_WAY: Final = Instrument(Kind.GAUGE, "naisho_onion_under_way", "HTTPS requests being read, answered or written.")
HELD: Final = Instrument(Kind.GAUGE, "naisho_onion_held", "Bytes held of bodies of requests and answers.", unit="By")
CROWDED_OUT: Final = Instrument(
    Kind.COUNTER, "naisho_onion_crowded_out", "Connections refused or ended for want of room."
)
THROTTLED: Final = Instrument(
    Kind.COUNTER, "naisho_onion_throttled", "Direct requests refused because their address sends too many."
)
REPLAYS: Final = Instrument(Kind.COUNTER, "naisho_onion_replays", "Layers that had come before and were not opened.")
REMEMBERED: Final = Instrument(Kind.GAUGE, "naisho_onion_remembered", "Layers that would be recognised.")
STREAMS: Final = Instrument(Kind.GAUGE, "naisho_onion_streams", "Streams to other nodes.")
FAILING: Final = Instrument(Kind.GAUGE, "naisho_onion_failing", "Nodes whose last reachability test failed.")
EPOCH: Final = Instrument(Kind.GAUGE, "naisho_onion_directory_epoch", "Epoch of the directory in use; 0 is none.")
DIRECTORIES_REFUSED: Final = Instrument(
    Kind.COUNTER, "naisho_onion_directories_refused", "Directories that could not be believed."
)

INSTRUMENTS: Final = (
    ANSWERS,
    LAYERS,
    CONNECTIONS,
    UNDER_WAY,
    HELD,
    CROWDED_OUT,
    THROTTLED,
    REPLAYS,
    REMEMBERED,
    STREAMS,
    FAILING,
    EPOCH,
    DIRECTORIES_REFUSED,
)
