"""Two places for a proxy to run in: a thread of this process, or a process of its own. Used through `proxy.Proxy`."""

from __future__ import annotations

import os
import tempfile
import threading
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence

from ..network.connection import Connection
from ..server.extensions import Extensions
from ..server.forward import decode
from ..server.lifecycle import close_connections
from ..server.options import Options
from ..server.server import Server
from .child import ChildProcess
from .leaks import Descriptors, engine_threads
from .prepared import Json, to_text

LOOK_EVERY = 0.02  # seconds between two looks at what only another process knows


class Runner(Protocol):
    """Where a proxy runs."""

    exceptions: List[Exception]

    def start(self) -> str:
        """Begin; the admin's address. Raises what kept it from beginning."""

    def wait_until_ready(self, is_ready: Callable[[], bool], patience: float) -> bool:
        """Whether it accepts connections within `patience` seconds."""

    def call(self, function: Callable[[Server], Any], patience: float) -> Any:
        """What `function` returns when the loop calls it with the server."""

    def stop(self, patience: float) -> List[str]:
        """End it; what is left behind, in sentences."""


class TestedServer(Server):
    """A server that keeps the exceptions that left its handlers."""

    exceptions: List[Exception]

    def _report(self, error: Exception) -> None:
        super()._report(error)
        self.exceptions.append(error)


class ThreadRunner:
    """The proxy's loop in a thread of this process: filters can be debugged, and their exceptions are objects."""

    def __init__(self, raw: Json, filter_path: Sequence[str], check_leaks: bool) -> None:
        self.exceptions: List[Exception] = []
        self._extensions = Extensions(list(filter_path))
        loaded = decode(raw, self._extensions)
        options = Options(filter_path=list(filter_path))
        self._server = TestedServer(loaded, options, self._extensions)
        self._server.exceptions = self.exceptions
        self._thread = threading.Thread(target=self._serve, name="proxy_core", daemon=True)
        self._ready = threading.Event()
        self._stopping = False
        self._died: Optional[BaseException] = None
        self._left: List[Connection] = []
        self._descriptors = Descriptors() if check_leaks else None

    def start(self) -> str:
        """See `Runner`."""
        try:
            self._server.start()
        except Exception:
            self._server.close()
            raise
        self._thread.start()
        assert self._server.admin is not None
        return self._server.admin.local_addresses()[0].text

    def wait_until_ready(self, is_ready: Callable[[], bool], patience: float) -> bool:
        """See `Runner`."""
        self._ready.wait(patience)
        if self._server.failure is not None:
            raise self._server.failure
        return self._ready.is_set() and self._died is None

    def call(self, function: Callable[[Server], Any], patience: float) -> Any:
        """See `Runner`."""
        done = threading.Event()
        answer: Dict[str, Any] = {}

        def in_the_loop() -> None:
            try:
                answer["value"] = function(self._server)
            except BaseException as error:
                answer["error"] = error
            done.set()
        self._server.wakeup.post(in_the_loop)
        if not done.wait(patience):
            raise AssertionError(f"the proxy's loop did not answer for {patience:g} s")
        if "error" in answer:
            raise answer["error"]
        return answer["value"]

    def stop(self, patience: float) -> List[str]:
        """See `Runner`."""
        if self._descriptors is not None:
            self._descriptors.learn(self._server)
        self._stopping = True
        try:
            self._server.wakeup.post(self._server.quit)
        except OSError:  # it has ended by itself
            self._thread.join(patience)
        self._thread.join(patience)
        if self._thread.is_alive():
            return [f"its thread did not end within {patience:g} s"]
        problems = [] if self._died is None else [f"its loop was left by {self._died!r}"]
        problems += [f"connection {one.id} from {one.remote_address} was not closed" for one in self._left]
        if self._descriptors is not None:
            problems += self._descriptors.left() + engine_threads(patience)
        return problems

    def _serve(self) -> None:
        """The thread."""
        server = self._server
        try:
            while not (server.running or self._stopping or server.failure is not None):
                server.reactor.turn()
            self._ready.set()
            if not self._stopping and server.failure is None:
                server.reactor.run()
        except BaseException as error:
            self._died = error
        finally:
            self._ready.set()
            self._finish()

    def _finish(self) -> None:
        self._server.stop_listening()
        close_connections(self._server)
        self._left = self._server.table.live()
        self._server.close()


class ChildRunner:
    """The proxy as it runs in the field: `python -m proxy_core` in a process of its own."""

    def __init__(self, raw: Json, filter_path: Sequence[str], check_leaks: bool) -> None:
        self.exceptions: List[Exception] = []
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            file.write(to_text(raw))
        self._file = file.name
        paths = [flag for directory in filter_path for flag in ("--filter-path", directory)]
        self._child = ChildProcess(["-c", self._file, *paths])
        self._drain = threading.Thread(target=self._read_all, name="proxy_core output", daemon=True)

    def start(self) -> str:
        """See `Runner`."""
        try:
            address = self._child.expect(r"admin address: (\S+)").group(1)
        except AssertionError:
            code = self._child.process.poll()
            said = self._child.output["stderr"].strip()
            self.stop(1.0)
            raise AssertionError(f"the proxy did not start (exit code {code}):\n{said}") from None
        self._drain.start()
        return address

    def _read_all(self) -> None:
        """What it writes must be read, or it waits for us."""
        while self._child.read(3600.0):
            pass

    def wait_until_ready(self, is_ready: Callable[[], bool], patience: float) -> bool:
        """See `Runner`."""
        return wait_for(is_ready, patience)

    def call(self, function: Callable[[Server], Any], patience: float) -> Any:
        """Not possible."""
        raise ValueError("nothing can be called in another process: use subprocess=False")

    def stop(self, patience: float) -> List[str]:
        """See `Runner`."""
        process = self._child.process
        problems = []
        if process.poll() is None:
            process.terminate()
        elif process.returncode:
            problems.append(f"it had ended with exit code {process.returncode}")
        if self._drain.is_alive():
            self._drain.join(patience)
            if self._drain.is_alive():
                problems.append(f"it did not end within {patience:g} s")
                process.kill()
                self._drain.join()
        code = process.wait()
        if code and not problems:
            problems.append(f"its exit code is {code}")
        os.unlink(self._file)
        self._child.__exit__()
        errors = [line for line in self._child.output["stderr"].splitlines() if "exception in a handler" in line]
        return [*problems, *errors]


def wait_for(true: Callable[[], bool], patience: float) -> bool:
    """Look at something every `LOOK_EVERY` seconds until it holds; whether it does within `patience` seconds."""
    never = threading.Event()
    for _ in range(int(patience / LOOK_EVERY)):
        if true():
            return True
        never.wait(LOOK_EVERY)
    return true()
