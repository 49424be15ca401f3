"""Builds the admin: a listener with one chain and one filter, on the address of `Bootstrap.admin`. Mirrors
`AdminImpl`.

The listener is exempt from every limit on connections, so that an operator can look into a proxy that is
full.
"""

from __future__ import annotations

from typing import Any, Final, List

from ..config.model.bootstrap import Admin
from ..config.model.listener import FilterChain as FilterChainConfig
from ..config.model.listener import Listener as ListenerConfig
from ..errors import ConfigError, Problem
from ..filters.api import FilterManager
from ..listener.chain_match import ChainMatcher
from ..listener.drain import DrainManager
from ..listener.filter_chain import FilterChain
from ..listener.listener import Listener
from ..network.address import address_of
from ..network.transport import RAW, Transport
from ..observe.access_log.format import ENVOY_DEFAULT, FormatCompiler
from ..observe.access_log.logger import AccessLog
from ..observe.stat_names import ListenerStats
from .filter import AdminFilter, AdminService
from .host import AdminHost

NAME: Final = "admin"
OWNER_ONLY: Final = 0o600  # whoever may write to the admin's Unix socket may stop the proxy


def build_admin(host: AdminHost, config: Admin) -> Listener:
    """The admin's listener, not yet bound. `config` must have an address. Raises ConfigError with every
    problem.
    """
    assert config.address is not None
    problems: List[Problem] = []
    access_logs = _access_logs(host, config, problems)
    try:
        address = address_of(config.address)
        if address.path and not address.mode:
            address.mode = OWNER_ONLY
    except ValueError as error:
        problems.append(Problem(f"{NAME}.address", str(error)))
    if problems:
        raise ConfigError(problems)
    service = AdminService(host, access_logs, checks_host=not address.path)

    def add_filter(manager: FilterManager) -> None:
        manager.add_read_filter(AdminFilter(service, manager.connection), NAME)

    context = host.context
    drain = DrainManager(0.0, False, host.random)
    chain = FilterChain(FilterChainConfig(), [add_filter], _raw_transport, drain)
    return Listener(
        NAME,
        ListenerConfig(name=NAME, address=config.address, enable_reuse_port=False),
        [address],
        ChainMatcher([(None, chain)], None),
        context,
        context.settings,
        ListenerStats(host.stats.scope("listener.admin"), thread="main_thread"),
        drain,
        [],
        exempt=True,
    )


def _raw_transport() -> Transport:
    return RAW


def _access_logs(host: AdminHost, config: Admin, problems: List[Problem]) -> List[AccessLog]:
    """`access_log`, and the older `access_log_path`, which has Envoy's HTTP format."""
    logs: List[AccessLog] = list(host.access_logs.build(config.access_log, f"{NAME}.access_log", problems))
    if config.access_log_path:
        try:
            sink: Any = host.access_logs.sinks.file(config.access_log_path)
        except OSError as error:
            text = f"unable to open file '{config.access_log_path}': {error.strerror}"
            problems.append(Problem(f"{NAME}.access_log_path", text))
            return logs
        formatter = FormatCompiler().text(ENVOY_DEFAULT)
        logs.append(AccessLog(formatter, sink, host.wall_clock, lambda: host.reactor.now))
    return logs
