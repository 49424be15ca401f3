"""Running the engine, and real programs around it, as separate processes.

`Engine` starts `python -m proxy_core -c CONFIG` on ports that the kernel chooses, waits until its admin says
ready, and afterwards insists that it ended well: exit code 0 and no traceback. Set PROXY_CORE_TEST_ENGINE to
another command line (for example `envoy --use-dynamic-base-id --concurrency 1`) and the same tests judge that
engine: the configs are Envoy's.

`require` finds a program or skips the test with the reason. With PROXY_CORE_REQUIRE_LIVE=1 nothing is
skipped: what is missing is a failure.
"""

from __future__ import annotations

import glob
import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0  # generous: a loaded machine is slow, but not hung
STOP_SECONDS = 10.0
FLUSH_LOGS = ("--file-flush-interval-msec", "20")  # arguments for who waits for a line in an access log
_NEVER = threading.Event()  # waited on to poll without a busy loop; nothing sets it


def until(condition: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
    """Polls `condition` until it is true and returns it; fails the test naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:g} s still not so: {what}")
        _NEVER.wait(0.01)


def missing(reason: str) -> None:
    """Skips the test, or fails it where PROXY_CORE_REQUIRE_LIVE says that everything must be here."""
    if os.environ.get("PROXY_CORE_REQUIRE_LIVE", "") not in ("", "0"):
        pytest.fail(f"PROXY_CORE_REQUIRE_LIVE is set, but {reason}")
    pytest.skip(reason)


def require(program: str, *places: str) -> str:
    """The path of `program`: on PATH, else in `places` (glob patterns of directories, the last wins)."""
    found = shutil.which(program)
    if found is None:
        candidates = sorted(path for place in places for path in glob.glob(os.path.join(place, program)))
        found = candidates[-1] if candidates else None
    if found is None:
        missing(f"{program} is not installed")
    assert found is not None
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, for servers that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """True when something on 127.0.0.1 accepts connections at `port`."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Engine:
    """One engine process; a context manager that stops it and judges how it ended."""

    def __init__(
        self, config: Dict[str, Any], directory: Path, arguments: Sequence[str] = (), command: Sequence[str] = (),
    ) -> None:
        """Starts the engine on the bootstrap `config`, to which an admin on a free port is added. command: another engine's."""
        directory.mkdir(parents=True, exist_ok=True)
        self._errors = directory / "stderr"
        self._address_file = directory / "admin.address"
        file = directory / "config.json"
        file.write_text(json.dumps({"admin": {"address": address(0)}, **config}, indent=1))
        command = [
            *(command or engine_command()),
            "-c",
            str(file),
            "--admin-address-path",
            str(self._address_file),
            *arguments,
        ]
        with open(directory / "stdout", "wb") as output, open(self._errors, "wb") as errors:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
            )
        self._ports: Dict[str, int] = {}
        self._stopped = False
        try:
            until(self._is_ready, "the engine answers GET /ready with 200", START_SECONDS)
        except BaseException:
            self._kill()
            raise

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: Optional[type], *_: object) -> None:
        if kind is not None:
            self._kill()  # the test has failed already: say that, not how the engine ended
        else:
            self.stop()

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"the engine exited with {self.process.returncode}: {self.stderr()[-2000:]}")
        try:
            return self.admin("/ready") == "LIVE\n"
        except (OSError, ValueError, http.client.HTTPException):
            return False  # ValueError: the file with the address is there, and empty as yet

    def admin(self, path: str, method: str = "GET") -> str:
        """The body of the admin's answer; any status but 200 is an OSError, as a refused connection is."""
        host, _, port = self._address_file.read_text().strip().rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status != 200:
                raise OSError(f"{method} {path}: {answer.status} {body}")
            return body
        finally:
            connection.close()

    def port(self, listener: str = "main") -> int:
        """The port that the kernel chose for the listener of that name."""
        if not self._ports:
            for line in self.admin("/listeners").splitlines():
                name, _, bound = line.partition("::")
                self._ports[name] = int(bound.rpartition(":")[2])
        return self._ports[listener]

    def connect(self, listener: str = "main", timeout: float = 30.0) -> socket.socket:
        """A client connection to the listener."""
        return socket.create_connection(("127.0.0.1", self.port(listener)), timeout=timeout)

    def stat(self, name: str) -> int:
        """The value of one counter or gauge; 0 when it is not there yet."""
        for line in self.admin("/stats").splitlines():
            key, _, value = line.partition(": ")
            if key == name:
                return int(value)
        return 0

    def stderr(self) -> str:
        return self._errors.read_text(errors="replace")

    def descriptors(self) -> int:
        """How many files the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def settled_descriptors(self) -> int:
        """`descriptors` once it has not changed for 0.3 s.

        An admin's answer may still be closing, and what the engine makes once, when it first has time, is
        there then.
        """
        counts = [self.descriptors()]
        while len(counts) < 30 or len(set(counts[-30:])) > 1:
            _NEVER.wait(0.01)
            counts.append(self.descriptors())
            assert len(counts) < 3000, "the number of open files does not settle"
        return counts[-1]

    def resident_kib(self) -> int:
        """Resident memory of the process in KiB."""
        return self._status("VmRSS")

    def cpu_seconds(self) -> float:
        """Processor time that the process has used, user and system, in steps of a clock tick (10 ms)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wake_ups(self) -> int:
        """How often a thread of the process has gone to sleep by itself, so how often one was woken."""
        tasks = os.listdir(f"/proc/{self.process.pid}/task")
        return sum(self._status("voluntary_ctxt_switches", f"task/{task}/status") for task in tasks)

    def _status(self, field: str, file: str = "status") -> int:
        for line in Path(f"/proc/{self.process.pid}/{file}").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0])
        raise KeyError(field)

    def runs_on_for(self, seconds: float) -> bool:
        """Waits until the process has ended (False) or the time is over (True)."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def stop(self) -> None:
        """SIGTERM; the engine must exit with 0 in time, without a traceback. Again: does nothing."""
        if self._stopped:
            return
        self._stopped = True
        assert self.process.poll() is None, f"the engine died by itself: {self.stderr()[-2000:]}"
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            pytest.fail(f"the engine did not stop within {STOP_SECONDS:g} s of SIGTERM")
        assert code == 0, f"exit code {code}: {self.stderr()[-2000:]}"
        assert "Traceback" not in self.stderr(), self.stderr()[-4000:]

    def _kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def engine_command() -> List[str]:
    """The command line of the engine under test, up to its options."""
    other = os.environ.get("PROXY_CORE_TEST_ENGINE")
    return shlex.split(other) if other else [sys.executable, "-m", "proxy_core"]


def address(port: int) -> Dict[str, Any]:
    """An Envoy socket address on the loopback interface."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


ACCESS_LOG_FORMAT = (
    "id=%CONNECTION_ID% up=%UPSTREAM_CONNECTION_ID% in=%BYTES_RECEIVED% out=%BYTES_SENT% "
    "flags=%RESPONSE_FLAGS% down_close=%DOWNSTREAM_DETECTED_CLOSE_TYPE% "
    "up_close=%UPSTREAM_DETECTED_CLOSE_TYPE% "
    "reason=%DOWNSTREAM_LOCAL_CLOSE_REASON%\n"
)


def tcp_listener(name: str, cluster: str, access_log: Optional[Path] = None) -> Dict[str, Any]:
    """A listener on port 0 whose only filter is a tcp_proxy to `cluster`."""
    tcp_proxy: Dict[str, Any] = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": name,
        "cluster": cluster,
    }
    if access_log is not None:
        file_log = {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(access_log),
            "log_format": {"text_format_source": {"inline_string": ACCESS_LOG_FORMAT}},
        }
        tcp_proxy["access_log"] = [{"name": "envoy.access_loggers.file", "typed_config": file_log}]
    filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": tcp_proxy}]
    return {"name": name, "address": address(0), "filter_chains": [{"filters": filters}]}


def static_cluster(name: str, port: int, **fields: Any) -> Dict[str, Any]:
    """A cluster with one host at `port` of the loopback interface."""
    endpoint = {"endpoint": {"address": address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **fields,
    }


def bootstrap(listeners: Sequence[Dict[str, Any]], clusters: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """An Envoy bootstrap of static listeners and clusters."""
    return {"static_resources": {"listeners": list(listeners), "clusters": list(clusters)}}


def tcp_bootstrap(upstream_port: int, access_log: Optional[Path] = None) -> Dict[str, Any]:
    """Listener `main` -> tcp_proxy -> cluster `backend`, which is one host at `upstream_port`."""
    return bootstrap(
        [tcp_listener("main", "backend", access_log)], [static_cluster("backend", upstream_port)]
    )


def log_records(path: Path) -> List[Dict[str, str]]:
    """The lines of an access log in ACCESS_LOG_FORMAT, each as a dict."""
    lines = path.read_text().splitlines()
    return [dict(field.partition("=")[::2] for field in line.split(" ")) for line in lines]
