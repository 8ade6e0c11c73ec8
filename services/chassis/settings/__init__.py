"""Typed settings: a frozen dataclass, filled from its defaults, then a TOML file, then the environment.

    @dataclass(frozen=True, slots=True)
    class StoreSettings:
        data: Path
        keep: Annotated[Duration, Range(60)] = Duration(14 * DAY)
        log_password: Secret | None = None

    settings = read_settings(StoreSettings, prefix="NAISHO_STORE", file=Path("store.toml"), environ=os.environ)

Fields may be str, int, float, bool, Path, `Duration` (``90s``), `Size` (``10MiB``), `Address` (``host:port``),
`Secret`, an enumeration, ``tuple[X, ...]`` (in the environment with commas), ``X | None``, or another such dataclass: a
table in TOML, and ``NAISHO_STORE_LOG_URL`` for ``url`` in the table ``log``. ``Annotated[..., Range(low, high)]``
bounds numbers.

A secret called ``log_password`` is read from the file that ``log_password_file`` names, and is refused in plain.
"""

from services.chassis.settings.reader import Setting, SettingsError, read_settings, settings_of
from services.chassis.settings.values import DAY, HOUR, MINUTE, Address, BadValue, Duration, Range, Secret, Size

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "Address",
    "BadValue",
    "Duration",
    "Range",
    "Secret",
    "Setting",
    "SettingsError",
    "Size",
    "read_settings",
    "settings_of",
]
