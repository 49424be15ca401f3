"""The head of an admin reply: Envoy's headers in Envoy's order."""

from __future__ import annotations

from typing import Final

from ..http.date import http_date
from ..http.events import ResponseHead
from ..http.headers import Headers
from .api import Response

SERVER: Final = "envoy"


def reply_head(response: Response, wall: float, last: bool) -> ResponseHead:
    """The head for `response`; the codec adds how its body is framed.

    wall: now, in seconds since the epoch. last: the reply is not an endpoint's, and the connection ends with
    it; it has a length instead of chunks, as Envoy's.
    """
    headers = Headers()
    if last and response.body:
        headers.add("content-length", str(len(response.body)))
    if response.content_type:
        headers.add("content-type", response.content_type)
    if response.content_type and not last:
        headers.add("cache-control", "no-cache, max-age=0")
        headers.add("x-content-type-options", "nosniff")
    for name, value in response.headers:
        headers.add(name, value)
    headers.add("date", http_date(wall))
    headers.add("server", SERVER)
    if last or response.status == 413:  # the rest of a body that is too large is not read
        headers.add("connection", "close")
    return ResponseHead(response.status, headers=headers)
