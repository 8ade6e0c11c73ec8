"""The other side of a connection that a test plays."""

from __future__ import annotations

import asyncio


class PlayedTransport(asyncio.Transport):
    """Takes whatever is written, counts it, and says when the protocol has had enough; TLS showed it a certificate."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False
        self.written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data
        self.written += len(data)

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        del name, default
        return self

    def getpeercert(self, *, binary_form: bool) -> bytes:
        assert binary_form
        return b"certificate"
