"""ORIGINAL_DST: each connection goes where its client wanted to go. Mirrors `OriginalDstCluster` and its load
balancer.

The address is, in this order: the object that a filter left on the connection
(`envoy.network.transport_socket.original_dst_address`), what a filter left in the dynamic metadata at
`metadata_key`, or the dialled address that a listener filter restored (`original_dst`, `proxy_protocol`).
Metadata that is no address counts in `original_dst_host_invalid`, and the next in order is taken. A host is made for
the address when it is first asked for, and dropped after a `cleanup_interval` in which nothing was connected to it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Mapping, Optional, Sequence, Set

from ...config.model.metadata import MetadataKey
from ...event.reactor import Reactor
from ...event.timers import Timer
from ...network.address import Address
from ...observe.log import component_logger
from ...observe.stream_info import StreamInfo
from ..balancer import PickContext
from ..host import Host
from ..host_set import HostSet
from . import Target
from .members import Change

FILTER_STATE_KEY: Final = "envoy.network.transport_socket.original_dst_address"
DEFAULT_CLEANUP_INTERVAL: Final = 5.0

_log = component_logger("upstream")


class OriginalDstDiscovery:
    """Implements `Discovery`, and `Balancer`: it alone knows the host of a connection."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._target: Optional[Target] = None
        self._port: Optional[int] = None
        self._metadata_key: Optional[MetadataKey] = None
        self._hosts: Dict[str, Host] = {}
        self._used: Set[str] = set()  # since the last look
        self._timer: Optional[Timer] = None
        self._interval = DEFAULT_CLEANUP_INTERVAL

    def start(self, target: Target, on_initialized: Callable[[], None]) -> None:
        """There are no hosts until somebody connects."""
        config = target.config
        self._target = target
        self._interval = config.cleanup_interval or DEFAULT_CLEANUP_INTERVAL
        options = config.original_dst_lb_config
        if options is not None:
            self._port = options.upstream_port_override
            self._metadata_key = options.metadata_key
        on_initialized()

    def release(self, host: Host) -> None:
        """Hosts leave when nobody uses them."""

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._target = None

    def update(self, host_sets: Sequence[HostSet]) -> None:
        """`Balancer`: the hosts are known here."""

    def pick(self, context: Optional[PickContext] = None) -> Optional[Host]:
        """`Balancer`: the host that the connection wants; None when nothing says which."""
        info = context.info if context is not None else None
        if info is None or self._target is None:
            return None
        address = self._wanted_address(info, self._target)
        if address is None:
            return None
        if self._port is not None:
            address = Address.from_ip(address.ip, self._port)
        self._used.add(address.text)
        host = self._hosts.get(address.text)
        return host if host is not None else self._add(self._target, address)

    def _wanted_address(self, info: StreamInfo, target: Target) -> Optional[Address]:
        """Where the client wanted to go, or was sent to; None when nothing says so."""
        override: Any = info.filter_state.get(FILTER_STATE_KEY)
        if override is not None:
            return parse_address(str(getattr(override, "value", override)))
        text = value_at(info.dynamic_metadata, self._metadata_key) if self._metadata_key is not None else None
        if isinstance(text, str) and text:
            address = parse_address(text)
            if address is not None:
                return address
            target.stats.original_dst_host_invalid.inc()
        return parse_address(info.downstream_local_address) if info.local_address_restored else None

    def _add(self, target: Target, address: Address) -> Host:
        host = self._hosts[address.text] = Host(address, hostname=f"{target.name}{address}")
        _log.debug("adding host %s to cluster '%s'", address, target.name)
        target.apply(Change(list(self._hosts.values()), [host], [], {0}, []))
        if self._timer is None:
            self._timer = self._reactor.after(self._interval, self._clean_up)
        return host

    def _clean_up(self) -> None:
        """A host that nobody asked for since the last look, and to which nothing is connected, goes."""
        self._timer = None
        target = self._target
        assert target is not None
        gone = [
            host for name, host in self._hosts.items()
            if name not in self._used and not host.counters.cx_active
        ]
        self._used.clear()
        for host in gone:
            del self._hosts[host.address.text]
            _log.debug("removing host %s from cluster '%s'", host.address, target.name)
        if gone:
            target.apply(Change(list(self._hosts.values()), [], gone, {0}, []))
        if self._hosts:
            self._timer = self._reactor.after(self._interval, self._clean_up)


def value_at(metadata: Mapping[str, Any], key: MetadataKey) -> Any:
    """What stands there; None when there is nothing."""
    found: Any = metadata.get(key.key)
    for segment in key.path:
        found = found.get(segment.key) if isinstance(found, Mapping) else None
    return found


def parse_address(text: str) -> Optional[Address]:
    """"10.0.0.1:80" or "[::1]:80"; None for anything else."""
    ip, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        return None
    if ip.startswith("[") and ip.endswith("]"):
        ip = ip[1:-1]
    elif ":" in ip:
        return None
    try:
        return Address.from_ip(ip, int(port))
    except ValueError:
        return None
