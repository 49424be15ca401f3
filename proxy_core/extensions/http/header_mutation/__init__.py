"""envoy.filters.http.header_mutation: changes headers, trailers and the query of requests and responses.

    config  what may be configured
    query   changes of the query, prepared
    filter  the filter, with the changes of its own and those of the levels of a route
"""

from __future__ import annotations

from ....http.registry import HttpExtension
from .config import HeaderMutationConfig, HeaderMutationPerRoute
from .filter import build, build_route

__all__ = ["EXTENSION"]

EXTENSION = HttpExtension(HeaderMutationConfig, build, HeaderMutationPerRoute, build_route)
