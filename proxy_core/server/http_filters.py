"""Every HTTP filter of the package: the one place to add one. Called by `extensions`."""

from __future__ import annotations

from ..extensions.http import (
    basic_auth, buffer, compressor, cors, csrf, custom, decompressor, ext_authz, fault, header_mutation, health_check, ip_tagging,
    jwt_authn, local_ratelimit, rbac, router,
)
from ..http.registry import HttpFilterRegistry


def http_filters() -> HttpFilterRegistry:
    """Filters by configuration message; those of "python:" types are built by `custom`."""
    return HttpFilterRegistry(
        [
            basic_auth.EXTENSION, buffer.EXTENSION, compressor.EXTENSION, cors.EXTENSION, csrf.EXTENSION,
            decompressor.EXTENSION, ext_authz.EXTENSION, fault.EXTENSION, header_mutation.EXTENSION,
            health_check.EXTENSION, ip_tagging.EXTENSION, jwt_authn.EXTENSION, local_ratelimit.EXTENSION,
            rbac.EXTENSION, router.EXTENSION,
        ],
        custom=custom.EXTENSION,
    )
