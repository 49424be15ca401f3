"""`Proxy`: a running proxy for the length of a `with` block.

    def test_what_is_sent_comes_back():
        with Proxy(ECHO) as proxy:
            client = proxy.connect()
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
            client.close()
            proxy.assert_closed(how="FIN")

It is ready when the block begins: listeners accept, clusters know their hosts. It is gone when the block ends, its ports free,
and the block fails if an exception left a handler or filter, or if something was left behind. Any number may run in one
process, and one after another on one port.
"""

from __future__ import annotations

import socket
from typing import Any, Callable, Dict, List, Optional, Sequence

from ..server.server import Server
from .admin_view import AdminView
from .prepared import Config, directory_of, prepared
from .runners import ChildRunner, Runner, ThreadRunner, wait_for


class Proxy:
    """See the module docstring.

    config: a bootstrap as JSON, or the path of a file. Write port 0 for any free port; free_ports=True does so for every
    listener of a configuration that has fixed ones, port=N gives the first listener that one. Without an admin it gets one.
    subprocess: run it as `python -m proxy_core` in a process of its own. filter_path: directories of filters of one's own,
    besides that of the file. patience: seconds to wait for anything. check_leaks: False to let descriptors and threads of this
    process be.

    exceptions: what left a handler or filter, if it runs in this process. Those that are in the list when the block ends make it
    fail; a test that expects one takes it out.
    """

    def __init__(
        self, config: Config, *, subprocess: bool = False, free_ports: bool = False, port: Optional[int] = None,
        filter_path: Sequence[str] = (), patience: float = 20.0, check_leaks: bool = True,
    ) -> None:
        self.exceptions: List[Exception] = []
        self._raw = prepared(config, free_ports, port)
        self._filter_path = [*map(str, filter_path), *directory_of(config)]
        self._kind: Callable[..., Runner] = ChildRunner if subprocess else ThreadRunner
        self._patience = patience
        self._check_leaks = check_leaks
        self._runner: Optional[Runner] = None
        self._view: Optional[AdminView] = None
        self._clients: List[socket.socket] = []

    # -- its life --------------------------------------------------------------------------------------------------

    def __enter__(self) -> Proxy:
        """Start. Raises `errors.ConfigError`, `listener.binding.BindError`, or AssertionError if it is not ready in time."""
        runner = self._kind(self._raw, self._filter_path, self._check_leaks)
        self.exceptions = runner.exceptions
        self._view = AdminView(runner.start(), self._patience)
        self._runner = runner
        try:
            if not runner.wait_until_ready(self._view.is_ready, self._patience):
                raise AssertionError(f"the proxy was not ready after {self._patience:g} s")
        except BaseException:
            runner.stop(self._patience)
            raise
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        """Stop. Raises for exceptions inside and for leaks, unless the block has raised already."""
        for client in self._clients:
            client.close()
        problems = self._running.stop(self._patience)
        self._runner = self._view = None
        if error is not None:
            return
        if self.exceptions:
            first = self.exceptions[0]
            raise AssertionError(f"{len(self.exceptions)} exception(s) in the proxy, the first: {first!r}") from first
        if problems:
            raise AssertionError("the proxy did not end well:\n" + "\n".join(problems))

    @property
    def _running(self) -> Runner:
        assert self._runner is not None, "the proxy runs within its `with` block only"
        return self._runner

    @property
    def _admin(self) -> AdminView:
        assert self._view is not None, "the proxy runs within its `with` block only"
        return self._view

    # -- where it is -----------------------------------------------------------------------------------------------

    @property
    def admin(self) -> str:
        """The admin's address: "127.0.0.1:41234"."""
        return self._admin.address

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return self.port_of("")

    def port_of(self, listener: str) -> int:
        """The port of a listener by its name; "" for the first."""
        return int(self._address_of(listener)["socket_address"]["port_value"])

    def _address_of(self, listener: str) -> Dict[str, Any]:
        found = self._admin.listeners()
        if not found or listener and listener not in found:
            raise AssertionError(f"no listener '{listener}'; there are: {', '.join(found) or 'none'}")
        return found[listener] if listener else next(iter(found.values()))

    def connect(self, listener: str = "") -> socket.socket:
        """A client connection to a listener, by default the first. It has a timeout, and is closed at the end at the latest."""
        address = self._address_of(listener)
        if "pipe" in address:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(self._patience)
            client.connect(address["pipe"]["path"])
        else:
            place = address["socket_address"]
            client = socket.create_connection((_reachable(place["address"]), place["port_value"]), self._patience)
        self._clients.append(client)
        return client

    # -- what it says ----------------------------------------------------------------------------------------------

    def get(self, path: str) -> str:
        """The text of an admin page: "/stats?filter=http"."""
        return self._admin.get(path).decode("utf-8", "replace")

    def stats(self) -> Dict[str, int]:
        """Counters and gauges by their full names."""
        return self._admin.stats()

    def connections(self) -> List[Dict[str, Any]]:
        """The open connections, as /connections has them; those to the admin are left out."""
        return self._admin.connections()

    def closed_connections(self) -> List[Dict[str, Any]]:
        """Those that have ended, newest first, each with who closed it, how and why."""
        return self._admin.connections("&state=closed")

    def call(self, function: Callable[[Server], Any]) -> Any:
        """What `function` returns when the proxy's own thread calls it with the `server.server.Server`. Not with subprocess."""
        return self._running.call(function, self._patience)

    def wait_for(self, true: Callable[[], Any]) -> None:
        """Return once `true()` holds: what a client has done takes the proxy a moment to notice."""
        if not wait_for(lambda: bool(true()), self._patience):
            raise AssertionError(f"not so after {self._patience:g} s")

    def assert_closed(
        self, reason: str = "", by: str = "", how: str = "", side: str = "downstream", listener: str = "",
    ) -> Dict[str, Any]:
        """A connection has been closed for this reason, or is within the time; its row of `closed_connections`.

        reason: its detail ("tcp_session_idle_timeout") or the whole sentence; by: "peer" or "local"; how: "FIN", "RST",
        "timeout", "policy", "error", "drain", "shutdown"; side: "downstream" or "upstream"; listener: its name. "" = any.
        """
        wanted = {name: value for name, value in (
            ("side", side), ("listener", listener), ("closed_by", by), ("closed_how", how)
        ) if value}
        found: List[Dict[str, Any]] = []

        def closed() -> bool:
            found[:] = [
                row for row in self.closed_connections()
                if reason in ("", row["detail"], row["reason"]) and all(row[name] == value for name, value in wanted.items())
            ]
            return bool(found)
        if not wait_for(closed, self._patience):
            asked = ", ".join(f"{name} {value!r}" for name, value in (*wanted.items(), ("reason", reason)) if value)
            seen = [f"{row['side']} {row['reason']}" for row in self.closed_connections()]
            raise AssertionError(f"no connection was closed with {asked}; closed: {seen}, open: {len(self.connections())}")
        return found[0]


def _reachable(ip: str) -> str:
    """Where to connect to reach a listener on `ip`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(ip, ip)
