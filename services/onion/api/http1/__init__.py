"""A small HTTP/1.1 server whose every buffer and wait is bounded (docs/adr/0007).

It knows one thing that general servers do not give: how many bytes it holds for each client, sent and received, and
for how long. A client that stalls, trickles or never reads costs a bounded amount and is cut off in time.
"""

from services.onion.api.http1.messages import Head, HttpLimits, Request, Response, Site
from services.onion.api.http1.server import HttpServer

__all__ = ["Head", "HttpLimits", "HttpServer", "Request", "Response", "Site"]
