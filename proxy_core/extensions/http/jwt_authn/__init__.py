"""envoy.filters.http.jwt_authn: lets requests through that carry good JSON Web Tokens (RFC 7519).

    config                    what may be configured
    settings                  decided once per configuration: providers, rules, the stats
    requirement               what a request needs, as a function of its tokens
    extract, query            where a request carries tokens
    token, status             one token taken apart, and what can be wrong with it
    provider                  what a token of one issuer must be like, and what becomes of it
    keys, jwks                an issuer's keys: where they come from, and checking signatures with them
    rsa, ecdsa, ed25519       the mathematics of it, with plain integers
    filter                    one request, which may have to wait for keys
"""

from __future__ import annotations

from ....http.filter_api import HttpFactoryContext, HttpFilterFactory
from ....http.registry import HttpExtension
from .config import JwtAuthentication, PerRouteConfig
from .filter import JwtAuthnFilter
from .settings import Settings


def build(config: JwtAuthentication, context: HttpFactoryContext) -> HttpFilterFactory:
    """Prepare what requests share. Raises `ConfigError`."""
    settings = Settings(config, context)
    return lambda: JwtAuthnFilter(settings)


def build_route(config: PerRouteConfig, context: HttpFactoryContext) -> PerRouteConfig:
    """What a route says otherwise; its name is looked up in the filter's own configuration, per request."""
    return config


EXTENSION = HttpExtension(JwtAuthentication, build, PerRouteConfig, build_route)

__all__ = ["EXTENSION"]
