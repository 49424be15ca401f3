"""envoy.filters.http.fault: delays requests, answers them with errors, slows their responses down, for tests of what is around.

    config    what may be configured
    settings  one configuration, of the filter or of a route, prepared: whom it concerns, which faults it asks for
    filter    one request
    throttle  a response that is slowed down
"""

from __future__ import annotations

from ....http.registry import HttpExtension
from .config import HttpFault
from .filter import build, build_route

__all__ = ["EXTENSION"]

EXTENSION = HttpExtension(HttpFault, build, HttpFault, build_route)
