"""Times as the API server writes them."""

from __future__ import annotations

from datetime import datetime


def parse_time(text: object) -> float | None:
    """Return Unix seconds of an RFC 3339 time; None for what is none.

    >>> parse_time("1970-01-01T00:01:00Z"), parse_time("1970-01-01T00:00:01.500000Z"), parse_time(None)
    (60.0, 1.5, None)
    """
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def spell_duration(seconds: float) -> str:
    """Return a duration in the two largest units that matter, as kubectl does.

    >>> spell_duration(59.9), spell_duration(3700), spell_duration(500_000), spell_duration(-65)
    ('59s', '1h1m', '5d18h', '-1m5s')
    """
    if seconds < 0:
        return f"-{spell_duration(-seconds)}"
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{whole % 60}s" if minutes else f"{whole}s"
