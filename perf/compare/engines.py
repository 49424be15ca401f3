"""The engines, each started on a config that means "proxy this port to that one and never time out".

An engine that is not installed is left out with the reason. Environment variables name binaries that are not
on PATH: ENVOY, HAPROXY, NGINX, and UVLOOP_PYTHON for a Python that has uvloop. `proxy_core@DIR` is the engine
of another checkout, to compare two states of this project.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from . import load, load_http, load_tls
from .bootstraps import CERTIFICATE, KEY, write_bootstrap
from .route import FILTERS, HTTP, HTTP_ROUTES, TCP, TLS, Route

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0
ALL_MODES = frozenset((TCP, FILTERS, TLS, HTTP, HTTP_ROUTES))


class Engine(NamedTuple):
    """How to start one engine: `command` writes the config for a route and returns the command line. modes: of a `Route`."""

    name: str
    command: Callable[[Route], List[str]]
    cwd: Path = ROOT
    modes: FrozenSet[str] = frozenset((TCP,))


class Unavailable(Exception):
    """The engine cannot be run here; the text says why."""


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((load.HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def connection_limit() -> int:
    """How many proxied connections the open-file limit allows: two sockets each, and room for pipes."""
    return min(6000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 3)


class Running:
    """A started engine on the proxy's core. `start_ms`: from spawn to the first answer through it."""

    def __init__(self, engine: Engine, route: Route) -> None:
        self.port = route.listen_port
        self._mode = route.mode
        command = engine.command(route)
        self._log = route.directory / f"{engine.name.replace('/', '_')}.log"
        begun = time.perf_counter()
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=engine.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_pin_to_the_proxy_core,
                env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            )
        self.pid = self._process.pid
        try:
            self._wait_for_an_answer(engine, begun + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.start_ms = (time.perf_counter() - begun) * 1000

    def _wait_for_an_answer(self, engine: Engine, deadline: float) -> None:
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() > deadline:
                said = self._log.read_text(errors="replace").split("\n")
                last = [line for line in said if line.strip()][-1:] or ["it said nothing"]
                raise Unavailable(f"did not start: {last[0][:300]}")
            time.sleep(0.0005)

    def _answers(self) -> bool:
        if self._mode == TLS:
            return load_tls.answers(self.port)
        if self._mode in (HTTP, HTTP_ROUTES):
            return load_http.answers(self.port)
        with socket.socket() as probe:
            probe.settimeout(5.0)
            try:
                probe.connect((load.HOST, self.port))
                probe.sendall(load.PROBE)
                return probe.recv(1) != b""
            except OSError:
                return False

    def stop(self) -> None:
        """Ends the process; nothing is asked of how it ends."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(3.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


def _pin_to_the_proxy_core() -> None:
    os.sched_setaffinity(0, [load.cores()[0]])


# ---- those that read Envoy's config


def proxy_core(checkout: Optional[str] = None) -> Engine:
    """The engine of this checkout, or of the one at `checkout`, on the Python that runs this."""
    cwd = Path(checkout).resolve() if checkout else ROOT
    if not (cwd / "proxy_core" / "__main__.py").exists():
        raise Unavailable(f"there is no proxy_core package with a __main__ in {cwd}")

    def command(route: Route) -> List[str]:
        config = write_bootstrap(route)
        return [sys.executable, "-m", "proxy_core", "-c", config, "-l", "error"]

    return Engine(f"proxy_core@{checkout}" if checkout else "proxy_core", command, cwd, ALL_MODES)


def envoy() -> Engine:
    binary = _executable_behind(_program("ENVOY", "envoy"))
    options = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "error"]

    def command(route: Route) -> List[str]:
        return [binary, "-c", write_bootstrap(route), *options]

    return Engine("envoy", command, modes=ALL_MODES)


def _executable_behind(path: str) -> str:
    """What a wrapper script execs in the end, so that the start time measured is the program's own."""
    with open(path, "rb") as file:
        if file.read(2) != b"#!":
            return path
    process = subprocess.Popen(
        [path, "--use-dynamic-base-id", "--config-yaml", "{}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.perf_counter() + START_SECONDS
        while process.poll() is None and time.perf_counter() < deadline:
            executable = os.readlink(f"/proc/{process.pid}/exe")
            if "envoy" in os.path.basename(executable):
                return executable
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    return path


# ---- the others


def haproxy(splice: bool = False) -> Engine:
    """HAProxy with one thread; with `splice` it may use the kernel's splice(), which is off by default."""
    binary = _program("HAPROXY", "haproxy")

    def command(route: Route) -> List[str]:
        path = route.directory / f"haproxy-{route.listen_port}.cfg"
        mode = "http" if route.mode == HTTP else "tcp"
        path.write_text(
            f"global\n  nbthread 1\n  maxconn {connection_limit()}\n"
            f"defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
            + ("  option splice-auto\n" if splice else "")
            + f"listen main\n  bind {load.HOST}:{route.listen_port}{_haproxy_tls(route)}\n"
            f"  server one {load.HOST}:{route.upstream_port}\n"
        )
        return [binary, "-db", "-f", str(path)]

    return Engine("haproxy_splice" if splice else "haproxy", command, modes=frozenset((TCP, TLS, HTTP)))


def _haproxy_tls(route: Route) -> str:
    if route.mode != TLS:
        return ""
    both = route.directory / "both.pem"
    both.write_bytes(CERTIFICATE.read_bytes() + KEY.read_bytes())
    return f" ssl crt {both}"


def nginx() -> Engine:
    """nginx in one process; TCP by its stream module."""
    binary = _program("NGINX", "nginx", "/usr/sbin")
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    built_in = subprocess.run([binary, "-V"], capture_output=True).stderr.decode()
    has_stream = module.exists() or "--with-stream " in built_in + " "

    def command(route: Route) -> List[str]:
        path = route.directory / f"nginx-{route.listen_port}.conf"
        path.write_text(
            (f"load_module {module};\n" if module.exists() else "")
            + f"daemon off;\nmaster_process off;\npid {path}.pid;\nerror_log {path}.log error;\n"
            "events { worker_connections 19000; }\n" + (_nginx_http(route) if route.mode == HTTP else _nginx_stream(route))
        )
        return [binary, "-c", str(path), "-e", f"{path}.log"]

    return Engine("nginx", command, modes=frozenset((TCP, HTTP) if has_stream else (HTTP,)))


def _nginx_stream(route: Route) -> str:
    return (
        f"stream {{ server {{ listen {load.HOST}:{route.listen_port} backlog=4096; "
        f"proxy_pass {load.HOST}:{route.upstream_port}; proxy_timeout 1h; }} }}\n"
    )


def _nginx_http(route: Route) -> str:
    return (
        "http { access_log off; keepalive_requests 100000000; keepalive_timeout 1h; proxy_max_temp_file_size 0;\n"
        f"client_max_body_size 0; proxy_request_buffering off; client_body_temp_path {route.directory};\n"
        f"upstream b {{ server {load.HOST}:{route.upstream_port}; keepalive 200; keepalive_requests 100000000; }}\n"
        f"server {{ listen {load.HOST}:{route.listen_port} backlog=4096; location / {{ proxy_pass http://b; "
        'proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n'
    )


def asyncio_proxy() -> Engine:
    return Engine("asyncio", lambda route: [sys.executable, *_asyncio(route)], modes=frozenset((TCP, TLS, HTTP)))


def uvloop_proxy() -> Engine:
    python = os.environ.get("UVLOOP_PYTHON", sys.executable)
    if python == sys.executable:
        there = importlib.util.find_spec("uvloop") is not None
    else:
        there = subprocess.run([python, "-c", "import uvloop"], capture_output=True).returncode == 0
    if not there:
        raise Unavailable(f"{python} has no uvloop")
    return Engine("uvloop", lambda route: [python, *_asyncio(route), "--uvloop"], modes=frozenset((TCP, TLS, HTTP)))


def _asyncio(route: Route) -> List[str]:
    module = "perf.peers.asyncio_http_proxy" if route.mode == HTTP else "perf.peers.asyncio_proxy"
    tls = ["--certificate", str(CERTIFICATE), "--key", str(KEY)] if route.mode == TLS else []
    return ["-m", module, str(route.listen_port), str(route.upstream_port), *tls]


def _program(variable: str, name: str, *places: str) -> str:
    path = os.environ.get(variable) or shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *places]))
    if path is None or not os.access(path, os.X_OK):
        raise Unavailable(f"{name} is not installed (or name it with {variable})")
    return path


MAKERS: Dict[str, Callable[[], Engine]] = {
    "proxy_core": proxy_core,
    "envoy": envoy,
    "haproxy": haproxy,
    "haproxy_splice": lambda: haproxy(splice=True),
    "nginx": nginx,
    "asyncio": asyncio_proxy,
    "uvloop": uvloop_proxy,
}


def find(names: Sequence[str]) -> Tuple[List[Engine], Dict[str, str]]:
    """(the engines that can be run, the reason for each that cannot); an unknown name is a ValueError."""
    engines, absent = [], {}
    for name in names:
        kind, _, checkout = name.partition("@")
        if kind not in MAKERS or (checkout and kind != "proxy_core"):
            raise ValueError(f"no engine {name!r}; there are {', '.join(MAKERS)} and proxy_core@DIR")
        try:
            engines.append(proxy_core(checkout) if checkout else MAKERS[kind]())
        except Unavailable as reason:
            absent[name] = str(reason)
    return engines, absent
