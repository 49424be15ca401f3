"""envoy.filters.http.router: forwards requests to the hosts of a cluster.

    filter    what the route says: an answer, or a cluster
    request   a request on its way to a cluster, with `retry`, `timing`, `redirect`, `mirror`
    attempt   one connection of it (`tunnel`: for CONNECT); the connection is `upstream.http_pool`'s
    answer    what the client gets: `replies` has the words
"""

from __future__ import annotations

from ....http.filter_api import HttpFactoryContext, HttpFilter, HttpFilterFactory
from ....http.registry import HttpExtension
from .config import Prepared, Router
from .filter import RouterFilter


def build(config: Router, context: HttpFactoryContext) -> HttpFilterFactory:
    """Prepare what requests share; the factory makes one filter per request."""
    prepared = Prepared(config, context)

    def make() -> HttpFilter:
        return RouterFilter(prepared)
    return make


EXTENSION = HttpExtension(Router, build, terminal=True)
