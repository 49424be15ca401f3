"""envoy.filters.http.ext_authz: asks a server over HTTP whether a request may pass.

    config     what may be configured
    settings   decided once per configuration or route, and the stats
    service    the server: what it is sent, what its answer means
    filter     one request, which waits for the verdict
"""

from __future__ import annotations

from ....http.filter_api import HttpFactoryContext, HttpFilterFactory
from ....http.registry import HttpExtension
from .config import ExtAuthz, ExtAuthzPerRoute
from .filter import ExtAuthzFilter
from .settings import RouteSettings, Settings


def build(config: ExtAuthz, context: HttpFactoryContext) -> HttpFilterFactory:
    """Prepare what requests share. Raises `ConfigError`."""
    settings = Settings(config, context)
    return lambda: ExtAuthzFilter(settings)


def build_route(config: ExtAuthzPerRoute, context: HttpFactoryContext) -> RouteSettings:
    """What a route says otherwise. Raises `ConfigError`."""
    return RouteSettings(config, context)


EXTENSION = HttpExtension(ExtAuthz, build, ExtAuthzPerRoute, build_route)

__all__ = ["EXTENSION"]
