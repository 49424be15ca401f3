"""ORIGINAL_DST: each connection goes where its client wanted to go. Mirrors `OriginalDstCluster` and its load
balancer.

The address is, in this order: the object that a filter left on the connection
(`envoy.network.transport_socket. original_dst_address`), or the dialled address that a listener filter
restored (`original_dst`, `proxy_protocol`). A host is made for it when it is first asked for, and dropped
after a `cleanup_interval` in which nothing was connected to it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Optional, Sequence, Set

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
        self._port = options.upstream_port_override if options is not None else None
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
        address = wanted_address(info) if info is not None else None
        if address is None or self._target is None:
            return None
        if self._port is not None:
            address = Address.from_ip(address.ip, self._port)
        self._used.add(address.text)
        host = self._hosts.get(address.text)
        return host if host is not None else self._add(self._target, address)

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


def wanted_address(info: StreamInfo) -> Optional[Address]:
    """Where the client wanted to go; None when nothing says so."""
    override: Any = info.filter_state.get(FILTER_STATE_KEY)
    if override is not None:
        return parse_address(str(getattr(override, "value", override)))
    return parse_address(info.downstream_local_address) if info.local_address_restored else None


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
