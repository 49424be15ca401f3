"""Endpoints about the process: /ready, /server_info, /memory, /runtime and what Envoy's build has and ours
has not. Mirrors `ServerInfoHandler`, `RuntimeHandler` and `ProfilingHandler`.
"""

from __future__ import annotations

import platform
from typing import Any, Dict, Final

from .. import __version__
from ..observe.memory import memory_usage
from .api import Handler, Request, Response, json_reply, text
from .host import AdminHost

LIVE: Final = "LIVE"
# Envoy's shared-memory layout. There is none here; restarter scripts compare the text of two binaries.
HOT_RESTART_VERSION: Final = "11.104"
USER_AGENT: Final = "envoy"

# Options of Envoy that /server_info lists, in their default, because nothing here depends on them.
_OTHER_OPTIONS: Final[Dict[str, Any]] = {
    "local_address_ip_version": "v4",
    "disable_hot_restart": False,
    "enable_mutex_tracing": False,
    "cpuset_threads": False,
    "reject_unknown_dynamic_fields": False,
    "log_format_escaped": False,
    "disabled_extensions": [],
    "ignore_unknown_dynamic_fields": False,
    "use_dynamic_base_id": False,
    "base_id_path": "",
    "enable_fine_grain_logging": False,
    "socket_path": "@envoy_domain_socket",
    "socket_mode": 0,
    "enable_core_dump": False,
    "stats_tag": [],
    "skip_hot_restart_on_no_parent": False,
    "skip_hot_restart_parent_stats": False,
    "skip_deprecated_logs": False,
    "file_flush_min_size": 0,
    "log_stacktrace_single_entry": False,
}


def version_text() -> str:
    """What --version and /server_info print: parts between slashes as in Envoy, the last the interpreter."""
    return f"proxy_core/{__version__}/Distribution/RELEASE/Python-{platform.python_version()}"


def ready(host: AdminHost, request: Request) -> Response:
    """GET /ready: 200 only when live."""
    state = host.state()
    return text(state + "\n", 200 if state == LIVE else 503)


def server_info(host: AdminHost, request: Request) -> Response:
    """GET /server_info. All fields are printed, empty ones too."""
    uptime = f"{int(host.reactor.clock() - host.started_at)}s"
    return json_reply({
        "version": version_text(),
        "state": host.state(),
        "uptime_current_epoch": uptime,
        "uptime_all_epochs": uptime,
        "hot_restart_version": HOT_RESTART_VERSION,
        "command_line_options": {**_OTHER_OPTIONS, **host.options.to_json()},
        "node": _full_node(host),
        "hot_restart_initializing": False,
    })


def node_json(host: AdminHost) -> Dict[str, Any]:
    """The node with what the command line and the build add to it; empty fields left out."""
    configured = host.loaded.bootstrap.node
    node = configured.to_json() if configured is not None else {}
    for name, given in (("id", host.options.service_node), ("cluster", host.options.service_cluster)):
        if given:
            node[name] = given
    node["user_agent_name"] = USER_AGENT
    node["user_agent_build_version"] = {
        "version": {name: number for name, number in _numbers().items() if number},
        "metadata": {"engine": "proxy_core", "python.version": platform.python_version()},
    }
    return node


def _full_node(host: AdminHost) -> Dict[str, Any]:
    node: Dict[str, Any] = {"id": "", "cluster": "", **node_json(host)}
    if "locality" in node:
        node["locality"] = {"region": "", "zone": "", "sub_zone": "", **node["locality"]}
    node["user_agent_build_version"]["version"] = _numbers()
    return {
        **node, "extensions": [], "client_features": [], "listening_addresses": [], "dynamic_parameters": {},
    }


def _numbers() -> Dict[str, int]:
    parts = [int(part) if part.isdecimal() else 0 for part in __version__.split(".")[:3]]
    return dict(zip(("major_number", "minor_number", "patch"), parts))


def memory(host: AdminHost, request: Request) -> Response:
    """GET /memory, in bytes, 64-bit numbers as text. CPython keeps no page heap and no caches per thread to
    report.
    """
    usage = memory_usage()
    return json_reply({
        "allocated": str(usage.allocated),
        "heap_size": str(usage.heap_size),
        "pageheap_unmapped": "0",
        "pageheap_free": "0",
        "total_thread_cache": "0",
        "total_physical_bytes": str(usage.physical),
    })


def hot_restart_version(host: AdminHost, request: Request) -> Response:
    """GET /hot_restart_version"""
    return text(HOT_RESTART_VERSION)


def runtime(host: AdminHost, request: Request) -> Response:
    """GET /runtime"""
    return json_reply(host.runtime.entries())


def runtime_modify(host: AdminHost, request: Request) -> Response:
    """POST /runtime_modify"""
    if not request.query:
        return text(
            "usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n"
            "       or send the parameters as form values\n"
            "use an empty value to remove a previously added override", 400,
        )
    if not host.runtime.modify(request.query):
        return text("No admin layer specified", 503)
    return text("OK\n")


def contention(host: AdminHost, request: Request) -> Response:
    """GET /contention: one thread, no mutexes."""
    return text("Mutex contention tracing is not enabled: proxy_core has one thread and no mutexes.\n")


def init_dump(host: AdminHost, request: Request) -> Response:
    """GET /init_dump: what the start still waits for. Static resources wait for nothing."""
    return json_reply({})


def unsupported(what: str) -> Handler:
    """A handler for something of Envoy's build that ours has not."""
    def handle(host: AdminHost, request: Request) -> Response:
        return text(f"The current build does not support {what}\n", 501)

    return handle
