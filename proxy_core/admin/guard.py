"""Who may ask: protection of an admin without a password against web pages in the operator's browser. Envoy
has none.

A page on the web can make a browser send requests to 127.0.0.1. Two checks stop that from doing harm:

* Host. With DNS rebinding a page's own name is made to resolve to our address, so that the browser takes our
  answers for the page's. The browser then sends that name. A name that the public DNS can't hold (an IP
  literal, localhost, a single label such as a container's name) is not such a one; neither are names in the
  runtime key `proxy_core.admin_hosts` (comma-separated, without port).
* Origin. A cross-site POST carries the page's origin, so a request that may change something and comes from
  another origin is refused. Tools send none.

A Unix socket is out of a browser's reach: there nothing is checked. Its file is for its owner alone (mode 0600)
unless the configuration says otherwise.

An admin that everybody on a machine can reach may be made read-only by the runtime key
`proxy_core.admin_read_only`: then only GET, HEAD and OPTIONS are served, and whoever asks for more is told so.
It can't be switched off through the admin itself.
"""

from __future__ import annotations

import ipaddress
from typing import Final, FrozenSet, Optional

from .api import Response, text

HOSTS_KEY: Final = "proxy_core.admin_hosts"
READ_ONLY_KEY: Final = "proxy_core.admin_read_only"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def refusal(
    method: str, authority: str, origin: Optional[str], more_hosts: FrozenSet[str]
) -> Optional[Response]:
    """The 403 for a request that a browser was tricked into, None for others.

    authority: the Host header ("" passes). origin: the Origin header. more_hosts: names allowed by
    configuration.
    """
    if not is_known_host(authority, more_hosts):
        return text(
            f"Host '{authority}' is not allowed: a name that the public DNS can hold may be a rebinding "
            f"attack on this admin. Use the IP address, or list it in the runtime key {HOSTS_KEY}.\n", 403,
        )
    if origin is None or method in SAFE_METHODS or is_same_origin(origin, authority):
        return None
    why = "a page of another site may not change anything here"
    return text(f"Origin '{origin}' is not allowed: {why}.\n", 403)


def allowed_hosts(setting: object) -> FrozenSet[str]:
    """The names in the value of the runtime key, lower case."""
    names = str(setting).split(",") if setting is not None else ()
    return frozenset(name.strip().lower() for name in names if name.strip())


def is_known_host(authority: str, more_hosts: FrozenSet[str]) -> bool:
    """Whether this Host header can't be a public name."""
    host = host_of(authority).lower()
    if not host or host in more_hosts or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." not in host
    return True


def host_of(authority: str) -> str:
    """The host without its port: "[::1]:80" -> "[::1]"."""
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0]


def is_same_origin(origin: str, authority: str) -> bool:
    """Whether `origin` ("http://127.0.0.1:9901") is the page that this host serves. "null" is nobody's."""
    scheme, separator, host = origin.lower().partition("://")
    return bool(separator) and scheme in ("http", "https") and host == authority.lower()


def is_read_only(setting: object) -> bool:
    """Whether the value of the runtime key is a yes. What can't be understood counts as one: it was meant to protect."""
    return setting is not None and str(setting).strip().lower() not in ("", "false", "no", "off", "0", "0.0")
