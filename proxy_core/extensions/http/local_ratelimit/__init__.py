"""envoy.filters.http.local_ratelimit: so many requests in a time, all together, by descriptor, or by connection.

    config       what may be configured
    limiter      the buckets, and which of them a request draws from
    descriptors  what a request is counted as
    filter       one request
"""

from __future__ import annotations

from ....http.registry import HttpExtension
from .config import LocalRateLimit
from .filter import build, build_route

__all__ = ["EXTENSION"]

EXTENSION = HttpExtension(LocalRateLimit, build, LocalRateLimit, build_route)
