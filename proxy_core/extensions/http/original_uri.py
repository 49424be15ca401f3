"""The URL that the client asked for, as challenges of `www-authenticate` name it. Mirrors `Http::Utility::buildOriginalUri`."""

from __future__ import annotations

from typing import Final

from ...http.events import RequestHead

_MOST_OF_PATH: Final = 256  # characters


def original_uri(head: RequestHead) -> str:
    """Scheme, host, and the begin of the path as it came."""
    path = head.headers.get("x-envoy-original-path") or head.path
    return f"{head.scheme or 'http'}://{head.authority or ''}{path[:_MOST_OF_PATH]}"
