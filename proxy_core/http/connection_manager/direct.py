"""Answers that a route table gives without any upstream: redirects, fixed replies, and that there is no route.

Place in the data's way: the router's first look. Mirrors the beginning of `Router::Filter::decodeHeaders`.
"""

from __future__ import annotations

from typing import Final

from ..events import ResponseHead
from ..filter_api import DecoderFilterCallbacks
from ..headers import Headers
from ..route_api import Route

ROUTE_NOT_FOUND: Final = "route_not_found"
DIRECT_RESPONSE: Final = "direct_response"


def answer_no_route(decoder: DecoderFilterCallbacks) -> None:
    """404."""
    decoder.info.add_flag("NR")
    decoder.send_local_reply(404, b"", ROUTE_NOT_FOUND)


def answer_directly(decoder: DecoderFilterCallbacks, route: Route) -> bool:
    """Send the answer that `route` has; False if it has none because it forwards."""
    direct = route.direct_response
    if direct is None:
        return False
    head = decoder.request
    location = direct.location(head, decoder.info)

    def change(headers: Headers) -> None:
        if location:
            headers.set("location", location)
        if route.changes_response:
            route.finalize_response(ResponseHead(direct.status, headers=headers), decoder.info)
        if direct.content_type:
            headers.remove("content-type")
            headers.add("content-type", direct.content_type)

    decoder.send_local_reply(direct.status, direct.body(head, decoder.info), DIRECT_RESPONSE, change)
    return True
