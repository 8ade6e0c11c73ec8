"""The log of an install: a server that knows what the Secrets of its foundation say, as the chart's servers do."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from operators.local.nats_config import NatsConfig, render
from operators.local.nats_server import NatsServer, check_config, free_port
from tests.integration.operator.api_store import Objects

_FILES = ("ca.crt", "tls.crt", "tls.key")


class LogServer(NatsServer):
    """One server, with TLS and users that are JWTs."""

    def __init__(self, directory: Path, objects: Objects, install: str) -> None:
        config = NatsConfig(
            server_name="log",
            port=free_port(),
            monitor_port=free_port(),
            store=directory / "store",
            log=directory / "nats.log",
            max_store_bytes=1 << 42,
        )
        super().__init__(directory, config)
        self._objects = objects
        self._install = install

    @property
    def address(self) -> str:
        return f"tls://localhost:{self.config.port}"

    def has_its_secrets(self) -> bool:
        return all(self._objects.find("secrets", f"{self._install}-{name}") for name in ("nats-auth", "nats-tls"))

    def write_config(self) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in _FILES:
            (self.directory / file).write_bytes(self._read("nats-tls", file))
        (self.directory / "auth.conf").write_bytes(self._read("nats-auth", "auth.conf"))
        document = json.loads(render(self.config)) | {
            "tls": {"cert_file": str(self.directory / "tls.crt"), "key_file": str(self.directory / "tls.key")},
        }
        path = self.directory / "nats.conf"
        lines = [f"{name}: {json.dumps(value)}" for name, value in document.items()]
        path.write_text("\n".join([*lines, 'include "auth.conf"', ""]))
        check_config(path)
        return path

    def _read(self, secret: str, name: str) -> bytes:
        return base64.b64decode(self._objects.get("secrets", f"{self._install}-{secret}")["data"][name])
