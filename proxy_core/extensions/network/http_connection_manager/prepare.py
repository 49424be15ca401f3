"""From the message to `http.connection_manager.settings.ManagerSettings`: everything that is decided once."""

from __future__ import annotations

from typing import Any, Dict, Final, List, Optional

from ....config.model.core import Percent
from ....config.model.http_protocol import CommonHttpProtocolOptions, Http1ProtocolOptions
from ....errors import ConfigError, Problem
from ....filters.registry import FactoryContext
from ....http.connection_manager.client_certificate import DETAILS, ClientCertificateRules
from ....http.connection_manager.forwarded import ForwardedRules
from ....http.connection_manager.hosts import HostRules
from ....http.connection_manager.path import KEEP_UNCHANGED, PathRules
from ....http.connection_manager.request_rules import RequestRules
from ....http.connection_manager.settings import Basics, ManagerSettings, ManagerTimeouts
from ....http.connection_manager.stats import ManagerStats
from ....http.options import codec_settings
from ....http.route_api import RouteSource, RouteTable
from ....http.routing.context import TableContext
from ....http.routing.formatting import Formats
from ....http.routing.table import build_table
from ....http.routing.text import wire
from ....network.cidr import CidrSet
from ....network.own_address import own_ip
from ....observe.stat_names_http import HttpListenerStats
from .config import HttpConnectionManager
from .context import filter_context
from .filters import ChainBuilder
from .local_replies import prepare_local_replies

DEFAULT_IDLE: Final = 3600.0
DEFAULT_STREAM_IDLE: Final = 300.0
DEFAULT_DRAIN: Final = 5.0
DEFAULT_DELAYED_CLOSE: Final = 1.0
DEFAULT_HEADERS_KB: Final = 60
NORMALIZE_KEY: Final = "http_connection_manager.normalize_path"
SLASHES_KEY: Final = "http_connection_manager.path_with_escaped_slashes_action"
# By number, as the runtime key may say it.
_SLASH_ACTIONS: Final = ("KEEP_UNCHANGED", "KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD")


class NoRoutes:
    """`http.route_api.RouteSource` where the table could not be built."""

    table: Optional[RouteTable] = None


def prepare(config: HttpConnectionManager, context: FactoryContext) -> ManagerSettings:
    """Raises ConfigError with every problem, at paths below `context.path`."""
    problems: List[Problem] = []
    formats = Formats(lambda: context.reactor.now)
    builder = ChainBuilder(context, formats, config.stat_prefix, problems)
    chain = builder.chain(config.http_filters, f"{context.path}.http_filters")
    upgrades = builder.upgrades(config.upgrade_configs, f"{context.path}.upgrade_configs")
    routes = _routes(config, context, formats, problems)
    replies = prepare_local_replies(config.local_reply_config, context, formats, problems)
    access_logs = context.access_logs.build(config.access_log, f"{context.path}.access_log", problems, http=True)
    if problems:
        raise ConfigError(problems)
    options = config.http_protocol_options or Http1ProtocolOptions()
    common = config.common_http_protocol_options or CommonHttpProtocolOptions()
    kilobytes = DEFAULT_HEADERS_KB if config.max_request_headers_kb is None else config.max_request_headers_kb
    direct = bool(config.use_remote_address) and not config.xff_num_trusted_hops
    stats = ManagerStats(context.stats, config.stat_prefix)
    return ManagerSettings(
        _basics(config, options, common), codec_settings(options, common, kilobytes, direct, stats.headers_dropped),
        _timeouts(config, common, context.path),
        stats, _listener_stats(config, context), routes, chain, upgrades,
        _request_rules(config, context, routes), _path_rules(config, context.runtime), replies, access_logs,
        context.http.wall_clock, context.random, context.drain, _host_rules(config),
    )


def _routes(
    config: HttpConnectionManager, context: FactoryContext, formats: Formats, problems: List[Problem]
) -> RouteSource:
    """The table in the configuration, or whoever discovers it."""
    def of_filter(path: str) -> Any:
        return filter_context(context, formats, config.stat_prefix, "", path)

    table_context = TableContext(
        formats, context.runtime, lambda name: context.clusters.get(name) is not None, context.stats, context.http.filters,
        of_filter,
    )
    try:
        if config.route_config is not None:
            table = build_table(config.route_config, table_context, f"{context.path}.route_config", True)
            return _known(context.http.route_configs.static(config.route_config, table))
        assert config.rds is not None
        return _known(context.http.route_configs.dynamic(
            config.rds.config_source, config.rds.route_config_name, context.stats.scope(f"http.{config.stat_prefix}"),
            lambda found, path: build_table(found, table_context, path, False), f"{context.path}.rds",
        ))
    except ConfigError as error:
        problems.extend(error.problems)
    return NoRoutes()


def _known(source: RouteSource) -> RouteSource:
    """What the discovery gives, which is typed loosely in contexts."""
    return source


def _basics(config: HttpConnectionManager, options: Http1ProtocolOptions, common: CommonHttpProtocolOptions) -> Basics:
    log = config.log_options
    override = options.override_stream_error_on_invalid_http_message
    keeps = config.stream_error_on_invalid_http_message if override is None else override
    return Basics(
        config.stat_prefix, wire(config.server_name) or "envoy", config.server_header_transformation, wire(config.via),
        config.always_set_request_id_in_response, config.proxy_100_continue, options.default_host_for_http_10,
        common.max_requests_per_connection or 0, bool(keeps), log.flush_access_log_on_new_request,
        log.flush_log_on_tunnel_successfully_established,
    )


def _timeouts(config: HttpConnectionManager, common: CommonHttpProtocolOptions, path: str) -> ManagerTimeouts:
    return ManagerTimeouts(
        idle=_default(common.idle_timeout, DEFAULT_IDLE), stream_idle=_default(config.stream_idle_timeout, DEFAULT_STREAM_IDLE),
        request=config.request_timeout or 0.0,
        request_headers=config.request_headers_timeout or 0.0, max_stream_duration=common.max_stream_duration or 0.0,
        max_connection_duration=common.max_connection_duration or 0.0,
        duration_jitter=_share(common.max_connection_duration_jitter), drain=_default(config.drain_timeout, DEFAULT_DRAIN),
        drain_jitter=_share(config.drain_timeout_jitter),
        delayed_close=_default(config.delayed_close_timeout, DEFAULT_DELAYED_CLOSE),
        log_interval=config.log_options.access_log_flush_interval or 0.0, configured=_configured(config, common, path),
    )


def _configured(config: HttpConnectionManager, common: CommonHttpProtocolOptions, path: str) -> Dict[str, str]:
    """`ManagerTimeouts.configured`."""
    below = f"{path}.common_http_protocol_options"
    places = (
        ("idle", common.idle_timeout, f"{below}.idle_timeout"),
        ("stream_idle", config.stream_idle_timeout, f"{path}.stream_idle_timeout"),
        ("request", config.request_timeout, f"{path}.request_timeout"),
        ("request_headers", config.request_headers_timeout, f"{path}.request_headers_timeout"),
        ("max_stream_duration", common.max_stream_duration, f"{below}.max_stream_duration"),
        ("max_connection_duration", common.max_connection_duration, f"{below}.max_connection_duration"),
        ("drain", config.drain_timeout, f"{path}.drain_timeout"),
        ("log_interval", config.log_options.access_log_flush_interval, f"{path}.access_log_options.access_log_flush_interval"),
    )
    return {name: place for name, value, place in places if value is not None}


def _listener_stats(config: HttpConnectionManager, context: FactoryContext) -> List[HttpListenerStats]:
    scope = context.listener_scope
    return [] if scope is None else [HttpListenerStats(scope.scope(f"http.{config.stat_prefix}"))]


def _request_rules(config: HttpConnectionManager, context: FactoryContext, routes: RouteSource) -> RequestRules:
    transformation = config.scheme_header_transformation
    services = context.http
    return RequestRules(
        context.random, _forwarded(config), _certificates(config), routes, config.generate_request_id is not False,
        config.preserve_external_request_id, wire(config.via), wire(services.node_cluster) if config.add_user_agent else None,
        wire(services.node_id), (transformation.scheme_to_overwrite or "") if transformation is not None else "",
    )


def _forwarded(config: HttpConnectionManager) -> ForwardedRules:
    internal = config.internal_address_config
    networks = [one.network() for one in internal.cidr_ranges] if internal is not None else []
    return ForwardedRules(
        bool(config.use_remote_address), config.xff_num_trusted_hops, config.skip_xff_append, config.append_x_forwarded_port,
        CidrSet(networks) if networks else None, own_ip(), internal is not None and internal.unix_sockets,
    )


def _certificates(config: HttpConnectionManager) -> ClientCertificateRules:
    wanted = config.set_current_client_cert_details
    details = [name for name in DETAILS if wanted is not None and getattr(wanted, name)]
    return ClientCertificateRules(config.forward_client_cert_details, details)


def _path_rules(config: HttpConnectionManager, runtime: Any) -> PathRules:
    normalise = bool(runtime.get(NORMALIZE_KEY)) if config.normalize_path is None else config.normalize_path
    action = config.path_with_escaped_slashes_action
    if action == "IMPLEMENTATION_SPECIFIC_DEFAULT":
        number = runtime.get(SLASHES_KEY)
        action = _SLASH_ACTIONS[number] if isinstance(number, int) and 0 <= number < len(_SLASH_ACTIONS) else KEEP_UNCHANGED
    return PathRules(normalise, config.merge_slashes, action)


def _host_rules(config: HttpConnectionManager) -> Optional[HostRules]:
    if not (config.strip_matching_host_port or config.strip_any_host_port or config.strip_trailing_host_dot):
        return None
    return HostRules(config.strip_matching_host_port, bool(config.strip_any_host_port), config.strip_trailing_host_dot)


def _default(value: Optional[float], default: float) -> float:
    return default if value is None else value


def _share(percent: Optional[Percent]) -> float:
    return 0.0 if percent is None else percent.value / 100
