"""Headers that change what the router does and make no sense. Mirrors `FilterUtility::StrictHeaderChecker`."""

from __future__ import annotations

from typing import Final, Optional

from ....http.routing.retry import retry_words

_LISTS: Final = ("x-envoy-retry-on", "x-envoy-retry-grpc-on")


def invalid_header(name: str, value: Optional[str]) -> bool:
    """Whether a request with this header is to be refused. value: None = it has none."""
    if value is None:
        return False
    if name in _LISTS:
        words = {word.strip() for word in value.split(",")}
        return retry_words(value) != words
    return not (value.isascii() and value.isdigit())
