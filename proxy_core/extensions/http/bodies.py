"""What compressor and decompressor ask of a head before they touch the body behind it."""

from __future__ import annotations

from typing import List, Optional

from ...http.events import RequestHead, ResponseHead
from ...http.headers import Headers


def joined(headers: Headers, name: str) -> Optional[str]:
    """The value of a header that Envoy keeps in one line: several lines are one with commas. None without one."""
    value = headers.get(name)
    if value is None or len(headers.get_all(name)) == 1:
        return value
    return ",".join(headers.get_all(name))


def tokens(value: str) -> List[str]:
    """What stands between commas, without blanks around it."""
    return [token.strip(" \t") for token in value.split(",")]


def forbids_transformation(headers: Headers) -> bool:
    """`cache-control: no-transform` (RFC 9111, section 5.2.2.6)."""
    value = headers.get("cache-control")
    if value is None:
        return False
    return any(token.lower() == "no-transform" for token in tokens(joined(headers, "cache-control") or ""))


def opens_tunnel(request: RequestHead, response: ResponseHead) -> bool:
    """Whether what follows are bytes of another protocol."""
    if not request.upgrade:
        return False
    return response.status == 101 or (request.method == "CONNECT" and 200 <= response.status < 300)
