"""What the connections of a listener can be like, as far as its configuration tells.

A `Kind` says for each criterion of `filter_chain_match` which facts can be found: the address is known where
the listener is bound to one, a server name is found only by tls_inspector, a Unix socket has no port. A kind
may allow more than can happen, never less: what no kind allows can't be. With a listener filter that is not
Envoy's, everything can be.
"""

from __future__ import annotations

from typing import Final, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from .chain_criteria import UNIX_COUNTS_AS, Range, address_key
from .model.address import Address
from .model.listener import Listener

HTTP_PROTOCOLS: Final = frozenset({"http/1.0", "http/1.1", "h2c"})
"""What http_inspector finds in clear text."""

NO_PORT: Final = 0  # of a Unix socket

_PACKAGE: Final = "envoy.extensions.filters.listener."
_TLS_INSPECTOR: Final = _PACKAGE + "tls_inspector.v3.TlsInspector"
_HTTP_INSPECTOR: Final = _PACKAGE + "http_inspector.v3.HttpInspector"
_PROXY_PROTOCOL: Final = _PACKAGE + "proxy_protocol.v3.ProxyProtocol"
_ORIGINAL_DST: Final = _PACKAGE + "original_dst.v3.OriginalDst"
_FIND_NOTHING: Final = frozenset({
    _PACKAGE + "local_ratelimit.v3.LocalRateLimit", _PACKAGE + "set_filter_state.v3.Config",
})
_IP_LEVELS: Final = (0, 41)  # IPPROTO_IP, IPPROTO_IPV6: an option there may make the socket transparent


class Filters(NamedTuple):
    """Which listener filters there are. other: one that may find out anything."""

    tls_inspector: bool
    http_inspector: bool
    proxy_protocol: bool
    original_dst: bool
    other: bool


class Place(NamedTuple):
    """An address as it can be. exact: the only one, or None for all of `versions`."""

    exact: Optional[Range]
    versions: Tuple[int, ...]


class Kind(NamedTuple):
    """One sort of connections. port, source_port: None = any; NO_PORT = none. tls: None = not known, anything
    goes. protocols: what can be offered, None = anything. local: the source is a Unix socket.
    """

    port: Optional[int]
    destination: Place
    tls: Optional[bool]
    protocols: Optional[FrozenSet[str]]
    direct_source: Place
    local: bool
    source: Place
    source_port: Optional[int]


_V4_MAPPED: Final = 0xFFFF  # the first 96 bits of ::ffff:1.2.3.4
_ANYWHERE: Final = Place(None, (4, 6))
_UNIX: Final = Place(address_key(UNIX_COUNTS_AS), (4,))


def filters_of(listener: Listener) -> Filters:
    """The listener filters that matter here."""
    types = {one.typed_config.type_name for one in listener.listener_filters if one.typed_config is not None}
    known = {_TLS_INSPECTOR, _HTTP_INSPECTOR, _PROXY_PROTOCOL, _ORIGINAL_DST}
    return Filters(
        _TLS_INSPECTOR in types, _HTTP_INSPECTOR in types, _PROXY_PROTOCOL in types, _ORIGINAL_DST in types,
        not types <= known | _FIND_NOTHING,
    )


def redirected(listener: Listener, filters: Filters) -> bool:
    """Whether connections may be for other addresses than the listener's, by the kernel's doing."""
    raw_options = any(option.level in _IP_LEVELS for option in listener.socket_options)
    return filters.original_dst or bool(listener.transparent) or bool(listener.use_original_dst) or raw_options


def kinds_of(listener: Listener) -> List[Kind]:
    """All sorts of connections that this listener can get, each once."""
    filters = filters_of(listener)
    found: Set[Kind] = set()
    for address in [listener.address, *(one.address for one in listener.additional_addresses)]:
        if address is not None:
            for place in _places(address, filters, listener):
                found.update(_contents(place, filters))
    return sorted(found, key=repr)


def _places(address: Address, filters: Filters, listener: Listener) -> List[Kind]:
    """What can be known of the ends of a connection to `address`."""
    here = _bound(address)
    kinds = [here]
    if redirected(listener, filters):
        kinds.append(here._replace(port=None, destination=_ANYWHERE))
    if filters.proxy_protocol:
        kinds.append(here._replace(
            port=None, destination=_ANYWHERE, local=False, source=_ANYWHERE, source_port=None
        ))
    if filters.other:
        kinds.append(Kind(None, _ANYWHERE, None, None, _ANYWHERE, False, _ANYWHERE, None))
    return kinds


def _bound(address: Address) -> Kind:
    if address.socket_address is None:
        return Kind(NO_PORT, _UNIX, None, None, _UNIX, True, _UNIX, NO_PORT)
    place = address_key(address.socket_address.address.partition("%")[0])
    versions = (4, 6) if address.socket_address.ipv4_compat else (place[0],)
    peers = Place(None, versions)
    unknown = place[2] == 0 or place[0] == 6 and place[2] >> 32 == _V4_MAPPED
    destination = peers if unknown else Place(place, (place[0],))
    return Kind(address.socket_address.port_value or None, destination, None, None, peers, False, peers, None)


def _contents(place: Kind, filters: Filters) -> List[Kind]:
    """The same with what the first bytes can tell."""
    if filters.other:
        return [place]
    kinds = [place._replace(tls=False, protocols=HTTP_PROTOCOLS if filters.http_inspector else frozenset())]
    if filters.tls_inspector:
        kinds.append(place._replace(tls=True))
    return kinds
