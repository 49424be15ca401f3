"""The command `tcp LISTEN UPSTREAM...`: forward connections, without a configuration file.

It writes the bootstrap that one would write by hand and runs it, so `--print-config` is the way on from here.
An address is HOST:PORT, [IPV6]:PORT, :PORT or PORT (this machine, 127.0.0.1), or unix:/path (unix:@name in
Linux's abstract namespace). Host names are looked up once, at the start, and the answer is printed.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import socket
import sys
from typing import Any, Dict, List, NamedTuple, Sequence

from ..config.load import Loaded, decode_bootstrap
from .arguments import OK, Parser, seconds, whole_number
from .command import launch
from .extensions import Extensions
from .flags import log_level_problem
from .options import Options
from .server import Server
from .startup import bound_text

_TYPES = "type.googleapis.com/envoy.extensions"
LOOPBACK = "127.0.0.1"
UNIX = "unix:"
LISTENER = "tcp"
_EXPECTED = "expected HOST:PORT, [IPV6]:PORT, :PORT, PORT or unix:/path"

Json = Dict[str, Any]


class Endpoint(NamedTuple):
    """One end. address: an Envoy `Address` as JSON. note: what was done to get it, or ""."""

    address: Json
    text: str
    note: str


def parse_endpoint(text: str) -> Endpoint:
    """An address from the command line. Raises ValueError with the reason; names are looked up."""
    if text.startswith(UNIX):
        path = text[len(UNIX):]
        if not path:
            raise ValueError(f"'{text}': expected a path behind {UNIX}")
        return Endpoint({"pipe": {"path": path}}, text, "")
    host, colon, port_text = text.rpartition(":")
    if not port_text.isascii() or not port_text.isdigit() or len(port_text) > 5 or int(port_text) > 65535:
        raise ValueError(f"'{text}': {_EXPECTED}")
    if colon and host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"'{text}': an IPv6 address goes in brackets, [{host}]:{port_text}")
    return _ip_endpoint(host or LOOPBACK, int(port_text))


def _ip_endpoint(host: str, port: int) -> Endpoint:
    note = ""
    try:
        ip = str(ipaddress.ip_address(host))
    except ValueError:
        ip = look_up(host)
        note = f"{host} is {ip}, looked up once"
    shown = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    return Endpoint({"socket_address": {"address": ip, "port_value": port}}, shown, note)


def look_up(host: str) -> str:
    """The first address of a host name. Raises ValueError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"'{host}' can't be looked up: {reason}") from error
    return str(found[0][4][0])


def bootstrap(listen: Endpoint, upstreams: Sequence[Endpoint], connect_timeout: float, quiet: bool) -> Json:
    """The configuration that forwards `listen` to `upstreams` in turn."""
    tcp_proxy: Json = {
        "@type": f"{_TYPES}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": LISTENER,
        "cluster": "upstream",
    }
    if not quiet:
        log = {"@type": f"{_TYPES}.access_loggers.stream.v3.StdoutAccessLog"}
        tcp_proxy["access_log"] = [{"name": "envoy.access_loggers.stdout", "typed_config": log}]
    filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": tcp_proxy}]
    hosts = [{"endpoint": {"address": one.address}} for one in upstreams]
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": f"{round(connect_timeout, 3):g}s",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": hosts}]},
    }
    listener = {"name": LISTENER, "address": listen.address, "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _parser(prog: str) -> Parser:
    parser = Parser(
        f"{prog} tcp",
        description="Forward TCP connections to one or more upstreams, in turn. An address is HOST:PORT,\n"
        "[IPV6]:PORT, :PORT or PORT (127.0.0.1, this machine only), or unix:/path.",
        epilog=f"example: {prog} tcp 0.0.0.0:8080 10.0.0.1:80 10.0.0.2:80",
    )
    parser.add_argument("listen", metavar="LISTEN", help="where connections come in; port 0 = any free one")
    parser.add_argument("upstreams", metavar="UPSTREAM", nargs="+", help="where they go")
    parser.add_argument(
        "--connect-timeout", type=seconds, default=5.0, metavar="S",
        help="seconds an upstream has to answer (default 5)",
    )
    parser.add_argument(
        "--drain-on-exit-s", type=whole_number, default=0, metavar="N",
        help="seconds that connections get on SIGTERM or SIGINT (default 0)",
    )
    parser.add_argument(
        "-l", "--log-level", default="warning", metavar="LEVEL", help="of the log (default warning)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no line for each connection that ended")
    parser.add_argument(
        "--print-config", action="store_true", help="print the configuration and exit: a start for -c"
    )
    return parser


def tcp_command(prog: str, arguments: Sequence[str]) -> int:
    """`tcp LISTEN UPSTREAM...`."""
    parser = _parser(prog)
    values = parser.parse(arguments)
    ends = _ends(parser, values)
    raw = bootstrap(ends[0], ends[1:], values.connect_timeout, values.quiet)
    if values.print_config:
        print(json.dumps(raw, indent=2))
        return OK
    options = Options(log_level=values.log_level, drain_on_exit_s=values.drain_on_exit_s)
    return launch(options, lambda extensions: decode(raw, extensions), lambda server: _say(server, ends))


def decode(raw: Json, extensions: Extensions) -> Loaded:
    """A bootstrap that was made here, through the same checks as one from a file. Raises ConfigError."""
    return decode_bootstrap(raw, extensions.types(), False, extensions.is_terminal)


def _ends(parser: Parser, values: argparse.Namespace) -> List[Endpoint]:
    """LISTEN and the upstreams. Leaves with exit code 2 for what is none."""
    problem = log_level_problem(values.log_level)
    if problem:
        parser.error(problem)
    ends = []
    for text in (values.listen, *values.upstreams):
        try:
            ends.append(parse_endpoint(text))
        except ValueError as error:
            parser.error(str(error))
        if len(ends) > 1 and ends[-1].address.get("socket_address", {}).get("port_value") == 0:
            parser.error(f"'{text}': nothing can be connected to at port 0")
    return ends


def _say(server: Server, ends: Sequence[Endpoint]) -> None:
    """Where it listens and what it does, in the terms that the user can change."""
    bound = bound_text(server.listeners.listeners[0])
    print(f"{bound} -> {', '.join(end.text for end in ends[1:])}")
    for end in ends:
        if end.note:
            print(f"  {end.note}")
    if bound.startswith(f"{LOOPBACK}:"):
        port = bound.rpartition(":")[2]
        print(f"  reached from this machine only; 0.0.0.0:{port} would take connections from everywhere")
    sys.stdout.flush()
