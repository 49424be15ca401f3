"""envoy.filters.http.compressor: compresses bodies for those who can read that.

    config      what may be configured
    gzip        the one library there is
    encodings   what a request accepts
    settings    decided once per configuration or route, and the stats
    filter      one request with its response
"""

from __future__ import annotations

from ....http.filter_api import HttpFactoryContext, HttpFilterFactory
from ....http.registry import HttpExtension
from .config import Compressor, CompressorPerRoute
from .filter import CompressorFilter
from .gzip import Gzip
from .settings import RouteSettings, Settings


def build(config: Compressor, context: HttpFactoryContext) -> HttpFilterFactory:
    """Prepare what requests share. Raises `ConfigError` for a library that is none."""
    settings = Settings(config, context)
    return lambda: CompressorFilter(settings)


def build_route(config: CompressorPerRoute, context: HttpFactoryContext) -> RouteSettings:
    """What a route says otherwise."""
    return RouteSettings(config, context.path)


EXTENSION = HttpExtension(Compressor, build, CompressorPerRoute, build_route)
LIBRARIES = [Gzip]

__all__ = ["EXTENSION", "LIBRARIES"]
