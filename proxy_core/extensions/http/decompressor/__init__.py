"""envoy.filters.http.decompressor: undoes gzip for upstreams and clients that can't.

    config   what may be configured
    gzip     the one library there is, and the limit on what a few bytes may become
    filter   one request with its response
"""

from __future__ import annotations

from ....http.filter_api import HttpFactoryContext, HttpFilterFactory
from ....http.registry import HttpExtension
from .config import Decompressor
from .filter import DecompressorFilter, Settings
from .gzip import Gzip


def build(config: Decompressor, context: HttpFactoryContext) -> HttpFilterFactory:
    """Prepare what requests share. Raises `ConfigError` for a library that is none."""
    settings = Settings(config, context)
    return lambda: DecompressorFilter(settings)


EXTENSION = HttpExtension(Decompressor, build)
LIBRARIES = [Gzip]

__all__ = ["EXTENSION", "LIBRARIES"]
