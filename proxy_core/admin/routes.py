"""Which endpoints there are, and how a request finds its own. Mirrors Envoy's `AdminImpl`: paths are matched
as a whole.

The help texts are Envoy's; what is ours says so.
"""

from __future__ import annotations

from typing import Dict, Final, List, Optional, Tuple

from ..observe.log import component_logger
from . import actions, config_dump, connections, explain, faults, guard, inventory, log_levels, pages, process, stats, tap, why
from .api import Param, Request, Response, Route, text
from .connection_rows import STATES
from .host import AdminHost
from .ui import live, page
from .ui.survey import ORDERS, SEVERITY

_YES_NO: Final = ("y", "n")
_FORMAT: Final = Param("format", "File format to use", ("text", "json"))
_FILTER: Final = Param("filter", "Regular expression (Google re2) for filtering stats")
_USED_ONLY: Final = Param(
    "usedonly", "Only include stats that have been written by system since restart", None
)
_INVERT: Final = Param("invert_filter", "Invert the filter regex", None)
_LEVELS: Final = ("", "trace", "debug", "info", "warning", "error", "critical", "off")
_BUCKETS: Final = ("cumulative", "disjoint", "detailed", "summary")

_RUNTIME_MODIFY_HELP: Final = (
    "Adds or modifies runtime values as passed in query parameters. To delete a previously added key, use an "
    "empty string as the value. Note that deletion only applies to overrides added via this endpoint; values "
    "loaded from disk can be modified via override but not deleted. E.g. ?key1=value1&key2=value2..."
)
_DUMP_PARAMS: Final = (
    Param("resource", "The resource to dump"),
    Param(
        "mask",
        "The mask to apply. When both resource and mask are specified, the mask is applied to every element "
        "in the desired repeated field so that only a subset of fields are returned. The mask is parsed as a "
        "Protobuf::FieldMask",
    ),
    Param(
        "name_regex",
        "Dump only the currently loaded configurations whose names match the specified regex. Can be used "
        "with both resource and mask query parameters.",
    ),
    Param(
        "include_eds",
        "Dump currently loaded configuration including EDS. See the response definition for more information",
        None,
    ),
)
_DRAIN_PARAMS: Final = (
    Param(
        "graceful",
        "When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour "
        "and duration is configurable via server options or CLI",
        None,
    ),
    Param(
        "skip_exit",
        "When draining listeners, drain the connections but never stop the listeners. The graceful parameter "
        "has no effect when this is set, since the drain period only delays stopping the listeners",
        None,
    ),
    Param(
        "inboundonly",
        "Drains all inbound listeners. traffic_direction field in "
        "envoy_v3_api_msg_config.listener.v3.Listener is used to determine whether a listener is "
        "inbound or outbound.",
        None,
    ),
)


def _help(host: AdminHost, request: Request) -> Response:
    return text(help_text())


def _home(host: AdminHost, request: Request) -> Response:
    return pages.home_page(ROUTES)


_ABOUT_PROCESS: Final = (
    Route("/", _home, "Admin home page"),
    Route("/help", _help, "print out list of admin commands"),
    Route("/ready", process.ready, "print server state, return 200 if LIVE, otherwise return 503"),
    Route("/server_info", process.server_info, "print server version/status information"),
    Route("/hot_restart_version", process.hot_restart_version, "print the hot restart compatibility version"),
    Route("/memory", process.memory, "print current allocation/heap usage"),
    Route("/contention", process.contention, "dump current Envoy mutex contention stats (if enabled)"),
    Route("/runtime", process.runtime, "print runtime values"),
    Route("/runtime_modify", process.runtime_modify, _RUNTIME_MODIFY_HELP, True),
    Route("/logging", log_levels.logging, "query/change logging levels", True, (
        Param("paths", "Change multiple logging levels by setting to <logger_name1>:<desired_level1>,"
                       "<logger_name2>:<desired_level2>."),
        Param("group", "Change given logger group to desired level (only with fine-grain logging)"),
        Param("level", "desired logging level, this will change all loggers's level", _LEVELS),
    )),
)
_ABOUT_CONFIG: Final = (
    Route("/listeners", inventory.listeners, "print listener info", False, (_FORMAT,)),
    Route("/clusters", inventory.clusters, "upstream cluster status", False, (
        Param("filter", "Regular expression (Google re2) for filtering clusters by name"), _FORMAT,
    )),
    Route("/certs", inventory.certs, "print certs on machine"),
    Route("/connections", connections.connections, "print open connections (not in Envoy)", False, (
        Param("listener", "Only those of this listener"),
        Param("cluster", "Only those of this cluster"),
        Param("source", "Only those whose peer is in this network, such as 10.0.0.0/8"),
        Param("side", "Only those of clients, or to hosts", ("", *connections.SIDES)),
        Param("state", "Only those in this state; closed: the last thousand that ended", ("", *STATES)),
        Param("sort", "Which come first", tuple(connections.SORTS)),
        Param("limit", f"How many, {connections.MOST} by default, 0 = all"),
        _FORMAT,
    )),
    Route(
        connections.PREFIX, connections.one_connection,
        "everything about the connection whose id follows; with DELETE, close it (not in Envoy)", False, (
            Param("graceful", "With DELETE: send what is queued first; else both halves are reset", None),
            _FORMAT,
        ),
    ),
    Route("/tap", tap.tap, "what new connections with a tap filter receive and send, as JSON lines (not in Envoy)", False, (
        Param("name", "Only those of the tap of this name"),
        Param("records", "End after so many; else when the viewer leaves"),
    )),
    Route("/why", why.why, "what is unusual now, and why (not in Envoy)", False, (_FORMAT,)),
    Route("/ui", page.page, "what moves and what waits, live, in a browser (not in Envoy)"),
    Route("/ui/events", live.events, "what /ui is drawn from, as server-sent events (not in Envoy)", False, (
        Param("listener", "Show one by one only connections of this listener"),
        Param("chain", "Only those of this filter chain"),
        Param("state", "Only those in this state", ("", *SEVERITY)),
        Param("cluster", "Only those to this cluster"),
        Param("host", "Only those to this host"),
        Param("order", "Which come first", ORDERS),
        Param("rows", "How many, 40 by default, 200 at most"),
    )),
    Route("/explain", explain.explain, "which filter chain a connection would get (not in Envoy)", False, (
        Param("dst", "Where the connection goes, IP:PORT; not needed with one listener"),
        Param("src", "The client, IP or IP:PORT"),
        Param("direct_src", "The peer of the TCP connection, if a PROXY header tells of another client"),
        Param("sni", "The server name it asks for"),
        Param("alpn", "The protocols it offers, separated by commas"),
        Param("transport", "Default: tls if sni or alpn is given", ("tls", "raw_buffer")),
        Param("listener", "The name of the listener, if dst does not tell"),
        _FORMAT,
    )),
    Route("/init_dump", process.init_dump, "dump current Envoy init manager information (experimental)"),
    Route("/config_dump", config_dump.config_dump, "dump current Envoy configs", False, _DUMP_PARAMS),
)
_STATS: Final = (
    Route("/stats", stats.stats, "print server stats", False, (
        _USED_ONLY, _FILTER, _INVERT,
        Param("format", "Format to use", ("html", "active-html", "text", "json")),
        Param("type", "Stat types to include.", ("All", "Counters", "Histograms", "Gauges", "TextReadouts")),
        Param("histogram_buckets", "Histogram bucket display mode", _BUCKETS),
    )),
    Route("/stats/prometheus", stats.prometheus, "print server stats in prometheus format", False, (
        _USED_ONLY, _FILTER, _INVERT,
        Param("histogram_buckets", "Histogram bucket display mode", ("cumulative", "summary")),
    )),
    Route("/stats/recentlookups", stats.recent_lookups, "Show recent stat-name lookups"),
    Route("/reset_counters", stats.reset_counters, "reset all counters to zero", True),
)
_ACTIONS: Final = (
    Route("/drain_listeners", actions.drain_listeners, "drain listeners", True, _DRAIN_PARAMS),
    Route("/faults", faults.faults, "print fault filters; with POST of JSON, change their toxics, or take a service down "
          "(not in Envoy)"),
    Route("/healthcheck/fail", actions.health_check_fail, "cause the server to fail health checks", True),
    Route("/healthcheck/ok", actions.health_check_ok, "cause the server to pass health checks", True),
    Route("/quitquitquit", actions.quit_quit_quit, "exit the server", True),
    Route("/reopen_logs", actions.reopen_logs, "reopen access logs", True),
)
# What of Envoy's needs tcmalloc or gperftools: the paths exist, the answer says what is missing.
_UNSUPPORTED: Final = (
    Route("/allocprofiler", process.unsupported("the allocation profiler"),
          "enable/disable the allocation profiler (if supported)", True,
          (Param("enable", "enable/disable the allocation profiler", _YES_NO),)),
    Route("/cpuprofiler", process.unsupported("the CPU profiler"), "enable/disable the CPU profiler",
          True, (Param("enable", "enables the CPU profiler", _YES_NO),)),
    Route("/heapprofiler", process.unsupported("heap profiler"), "enable/disable the heap profiler",
          True, (Param("enable", "enable/disable the heap profiler", _YES_NO),)),
    Route("/heap_dump", process.unsupported("heap dump"), "dump current Envoy heap (if supported)"),
    Route("/peak_heap_dump", process.unsupported("peak heap dump"), "dump peak Envoy heap (if supported)"),
    Route("/memory/tcmalloc", process.unsupported("tcmalloc"), "print TCMalloc stats"),
    Route("/stats/recentlookups/clear", process.unsupported("tracking of stat-name lookups"),
          "clear list of stat-name lookups and counter", True),
    Route("/stats/recentlookups/disable", process.unsupported("tracking of stat-name lookups"),
          "disable recording of reset stat-name lookup names", True),
    Route("/stats/recentlookups/enable", process.unsupported("tracking of stat-name lookups"),
          "enable recording of reset stat-name lookup names", True),
)
ROUTES: Final[Tuple[Route, ...]] = tuple(
    sorted(_ABOUT_PROCESS + _ABOUT_CONFIG + _STATS + _ACTIONS + _UNSUPPORTED, key=lambda route: route.path)
)
_BY_PATH: Final[Dict[str, Route]] = {route.path: route for route in ROUTES}


def dispatch(host: AdminHost, request: Request) -> Response:
    """The reply to a request: its handler's, 404 with the help, 405 where only POST is taken, or 403 where
    nothing may be changed.
    """
    route = _route_of(request.path)
    if route is None:
        return text("invalid path. " + help_text(), 404)
    if route.mutates and request.method != "POST":
        component_logger("admin").error(
            'admin path "%s" mutates state, method=%s rather than POST', request.path, request.method
        )
        return text(f"Method {request.method} not allowed, POST required.", 405)
    if request.method not in guard.SAFE_METHODS and guard.is_read_only(host.runtime.get(guard.READ_ONLY_KEY)):
        return text(f"This admin is read-only (runtime key {guard.READ_ONLY_KEY}): {request.method} is refused.\n", 403)
    return route.handler(host, request)


def _route_of(path: str) -> Optional[Route]:
    """The route with this path, else one that ends in "/" and takes all that is one level below it."""
    found = _BY_PATH.get(path)
    if found is None and path.count("/") == 2 and not path.endswith("/"):
        found = _BY_PATH.get(path[:path.rindex("/") + 1])
    return found


def help_text() -> str:
    """The body of /help."""
    lines: List[str] = ["admin commands are:\n"]
    for route in ROUTES:
        lines.append(f"  {route.path}{' (POST)' if route.mutates else ''}: {route.help}\n")
        for param in route.params:
            choices = f"; One of ({', '.join(param.choices)})" if param.choices else ""
            lines.append(f"      {param.name}: {param.help}{choices}\n")
    return "".join(lines)
