"""What an operator can do to the running proxy. All take POST. Mirrors `ServerCmdHandler`, `ListenersHandler`
and `LogsHandler`'s reopening.
"""

from __future__ import annotations

from .api import Request, Response, text
from .host import AdminHost

OK = "OK\n"


def health_check_fail(host: AdminHost, request: Request) -> Response:
    """POST /healthcheck/fail: /ready answers 503; connections of listeners with drain_type DEFAULT are asked
    to leave.
    """
    host.set_health_failed(True)
    return text(OK)


def health_check_ok(host: AdminHost, request: Request) -> Response:
    """POST /healthcheck/ok: the opposite."""
    host.set_health_failed(False)
    return text(OK)


def quit_quit_quit(host: AdminHost, request: Request) -> Response:
    """POST /quitquitquit: the reply is sent, then the process leaves with status 0."""
    return Response(200, OK.encode(), after=host.quit)


def reopen_logs(host: AdminHost, request: Request) -> Response:
    """POST /reopen_logs: the access logs' files, after a rotation."""
    host.access_logs.sinks.reopen()
    return text(OK)


def drain_listeners(host: AdminHost, request: Request) -> Response:
    """POST /drain_listeners: ask connections to leave, and stop listening.

    graceful: listen on for the drain time (--drain-time-s). skip_exit: never stop listening. inboundonly:
    only listeners with traffic_direction INBOUND. A parameter counts when it is there, whatever its value.
    """
    listeners, query = host.listeners, request.query
    inbound_only = "inboundonly" in query
    listeners.drain(inbound_only)
    if "skip_exit" in query:
        return text(OK)
    if "graceful" in query:
        host.reactor.after(host.options.drain_time_s, lambda: listeners.stop_listening(inbound_only, 0.0))
    else:
        listeners.stop_listening(inbound_only)
    return text(OK)
