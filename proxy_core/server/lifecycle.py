"""The life of a server process: signals, the loop, and a clean end.

    SIGTERM, SIGINT   stop at once as Envoy does: connections closed, logs flushed, exit status 0; with
                      `--drain-on-exit-s N` stop accepting first and give connections up to N seconds; a second signal stops
    SIGUSR1           reopen the log files
    SIGHUP            load the configuration again and run it, or keep the old one and say why (`reload`); Envoy ignores it
    SIGQUIT           print the state of every connection to standard error, then stop
"""

from __future__ import annotations

import gc
import signal
import sys
from typing import Callable, Optional, TextIO

from ..network.close import NO_FLUSH
from ..observe.log import ProcessLog, component_logger
from .dump import describe_connections
from .server import Server

# What Envoy writes into the logs of connections that the end of the process closed.
PROCESS_EXIT = "purging_socket_that_have_not_progressed_to_connections"
ADMIN = "admin"
GARBAGE_THRESHOLD = 20_000  # objects made and not freed before the collector looks; Python's default is 700


class Lifecycle:
    """Runs one started server until it is told to stop. reload: what SIGHUP does."""

    def __init__(
        self, server: Server, process_log: ProcessLog, reload: Callable[[], object], errors: TextIO = sys.stderr
    ) -> None:
        self._server = server
        self._process_log = process_log
        self._reload = reload
        self._errors = errors
        self._log = component_logger("main")
        self._draining = False

    def run(self, on_running: Optional[Callable[[], None]] = None) -> int:
        """Turn the loop until the end; the exit status. on_running: called once signals are handled, before the loop."""
        self._install_signals()
        try:
            if on_running is not None:
                on_running()
            settle_garbage_collector()
            self._server.reactor.run()
        finally:
            self.finish()
        return 0

    def _install_signals(self) -> None:
        wakeup = self._server.wakeup
        wakeup.on_signal(signal.SIGTERM, lambda: self._on_stop("SIGTERM"))
        wakeup.on_signal(signal.SIGINT, lambda: self._on_stop("SIGINT"))
        if sys.platform != "win32":
            wakeup.on_signal(signal.SIGUSR1, self._on_reopen)
            wakeup.on_signal(signal.SIGHUP, self._on_hangup)
            wakeup.on_signal(signal.SIGQUIT, self._on_quit)

    def _on_stop(self, name: str) -> None:
        seconds = self._server.options.drain_on_exit_s
        if self._draining or not seconds:
            self._log.warning("caught %s", name)
            self._server.quit()
            return
        self._draining = True
        server = self._server
        server.listeners.stop_listening()
        self._log.warning("caught %s: draining for up to %d s; a second signal stops at once", name, seconds)
        server.listeners.drain(at_once=True)
        server.table.on_discard = self._quit_when_empty
        server.reactor.after(seconds, server.quit)
        self._quit_when_empty()

    def _quit_when_empty(self) -> None:
        live = self._server.table.live()
        if all(connection.info.listener_name == ADMIN for connection in live):
            self._server.quit()

    def _on_reopen(self) -> None:
        self._log.warning("caught SIGUSR1. Reopening access logs.")
        self._server.access_logs.sinks.reopen()
        self._process_log.reopen()

    def _on_hangup(self) -> None:
        self._log.warning("caught SIGHUP. Reloading the configuration.")
        self._reload()

    def _on_quit(self) -> None:
        self._errors.write(describe_connections(self._server.table, self._server.reactor.now))
        self._errors.flush()
        self._server.quit()

    def finish(self) -> None:
        """Close what is open, write the last log lines, give everything back."""
        self._log.info("exiting")
        server = self._server
        server.stop_listening()
        close_connections(server)
        server.close()
        self._process_log.flush()


def settle_garbage_collector() -> None:
    """What exists now lives as long as the process, and connections break their own cycles when they close: the collector
    need not look at the former and has little to find among the latter. 3 % of the CPU of short connections."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


def close_connections(server: Server) -> None:
    """Close every connection at once, those that are not yet one too, and run what is due when they are gone (their logs)."""
    for entry in server.listeners.lists:
        entry.listener.close_before_chain()
    for connection in server.table.live():
        connection.close(NO_FLUSH, PROCESS_EXIT, how="shutdown")
    server.reactor.turn(0)
