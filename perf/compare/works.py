"""The workloads. Each runs against a freshly started engine and gives a `Sample`: one figure and its context.

rr         CPU per 64-byte round trip, 50 connections, one message under way on each
churn      CPU per connection: connect, one exchange, close; 20 at a time
bulk_down  CPU per GB from server to client, 4 streams
bulk_up    CPU per GB from client to server, 4 streams
idle       memory per idle proxied connection; also wake-ups while all of them idle
start      milliseconds from spawn to the first answer through it
scale      as rr with 5,000 connections, all in use
tls_rr     as rr, the engine ends TLS; 50 connections, one cipher for all engines (engines that can)
tls_bulk   as bulk_down, the engine ends TLS
filters    as rr with four policy filters in front of tcp_proxy (engines that speak Envoy's config)
http_rr    CPU per small keep-alive HTTP/1.1 request, 50 connections
http_down  CPU per GB of response bodies of 1 MB, 4 kept connections
http_up    CPU per GB of request bodies of 1 MB
http_idle  as idle, a kept HTTP connection that has had one request
http_routes  as http_rr with 1,000 routes, of which the last one matches
"""

from __future__ import annotations

import array
import contextlib
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from . import load, load_http, load_tls, process
from .engines import Running
from .route import FILTERS, HTTP, HTTP_ROUTES, TCP, TLS

SETTLE_SECONDS = 0.05  # for the work that an engine does after the client has seen the last byte


class Settings(NamedTuple):
    """How much to do. The defaults give a second of CPU or more a figure; `QUICK` is for a first look."""

    seconds: float = 2.0
    warm_seconds: float = 0.4
    bulk_bytes: int = 256 << 20  # for each of the 4 streams
    idle_connections: int = 2000
    idle_seconds: float = 5.0
    many_connections: int = 5000


QUICK = Settings(0.7, 0.2, 64 << 20, 500, 1.0, 1000)


class Sample(NamedTuple):
    """One figure of one engine in one round; the CPU split and the latencies where the work has them."""

    value: float
    user: Optional[float] = None
    system: Optional[float] = None
    p50_us: Optional[float] = None
    p99_us: Optional[float] = None
    per_second: Optional[float] = None
    resident_mib: Optional[float] = None
    wake_ups: Optional[int] = None


class Work(NamedTuple):
    """A workload: the unit of its figure, which backend the engine must be pointed at, and what to do."""

    name: str
    unit: str
    backend: str
    measure: Callable[[Running, Settings], Sample]
    mode: str = TCP


@contextlib.contextmanager
def clients(workers: Sequence[load.Worker]) -> Iterator[Sequence[load.Worker]]:
    """Waits until each worker is ready; ends them afterwards."""
    try:
        for worker in workers:
            worker.answer()
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def shares(total: int) -> List[int]:
    """`total` connections split over as many client processes as there are cores for them, four at most."""
    count = min(len(load.cores()[1]), 4)
    return [total // count + (index < total % count) for index in range(count)]


def ask_all(workers: Sequence[load.Worker], request: float) -> List[array.array[int]]:
    for worker in workers:
        worker.ask(request)
    return [worker.answer() for worker in workers]


def _timed(engine: Running, workers: Sequence[load.Worker], settings: Settings) -> Sample:
    """A warm-up, then a measured stretch of operations: CPU microseconds for each."""
    ask_all(workers, settings.warm_seconds)
    time.sleep(SETTLE_SECONDS)
    before, begun = process.cpu(engine.pid), time.perf_counter()
    times = sorted(one for part in ask_all(workers, settings.seconds) for one in part)
    elapsed = time.perf_counter() - begun
    time.sleep(SETTLE_SECONDS)
    used, count = process.cpu(engine.pid).since(before), len(times)
    return Sample(
        value=used.total / count * 1e6,
        user=used.user / count * 1e6,
        system=used.system / count * 1e6,
        p50_us=times[count // 2] / 1000,
        p99_us=times[count * 99 // 100] / 1000,
        per_second=count / elapsed,
        resident_mib=process.resident_kib(engine.pid) / 1024,
    )


def round_trips(engine: Running, settings: Settings, connections: int = 50) -> Sample:
    workers = [load.Worker(load.round_trip_client, engine.port, share) for share in shares(connections)]
    with clients(workers):
        return _timed(engine, workers, settings)


def tls_round_trips(engine: Running, settings: Settings, connections: int = 50) -> Sample:
    workers = [load.Worker(load_tls.round_trip_client, engine.port, share) for share in shares(connections)]
    with clients(workers):
        return _timed(engine, workers, settings)


def many_round_trips(engine: Running, settings: Settings) -> Sample:
    return round_trips(engine, settings, settings.many_connections)


def churn(engine: Running, settings: Settings) -> Sample:
    workers = [load.Worker(load.churn_client, engine.port, share) for share in shares(20)]
    with clients(workers):
        return _timed(engine, workers, settings)


def http_round_trips(engine: Running, settings: Settings, connections: int = 50) -> Sample:
    workers = [load.Worker(load_http.round_trip_client, engine.port, share) for share in shares(connections)]
    with clients(workers):
        return _timed(engine, workers, settings)


STREAMS = 4


def _bulk(engine: Running, settings: Settings, worker: load.Worker) -> Sample:
    with clients([worker]) as workers:
        ask_all(workers, settings.bulk_bytes // 8)
        time.sleep(SETTLE_SECONDS)
        before, begun = process.cpu(engine.pid), time.perf_counter()
        ask_all(workers, settings.bulk_bytes)
        elapsed = time.perf_counter() - begun
        time.sleep(SETTLE_SECONDS)
        used = process.cpu(engine.pid).since(before)
    gigabytes = STREAMS * settings.bulk_bytes / 1e9
    return Sample(
        value=used.total / gigabytes,
        user=used.user / gigabytes,
        system=used.system / gigabytes,
        per_second=gigabytes / elapsed,
        resident_mib=process.resident_kib(engine.pid) / 1024,
    )


def bulk_down(engine: Running, settings: Settings) -> Sample:
    return _bulk(engine, settings, load.Worker(load.bulk_client, engine.port, STREAMS, False))


def tls_bulk(engine: Running, settings: Settings) -> Sample:
    return _bulk(engine, settings, load.Worker(load_tls.bulk_client, engine.port, STREAMS))


def bulk_up(engine: Running, settings: Settings) -> Sample:
    return _bulk(engine, settings, load.Worker(load.bulk_client, engine.port, STREAMS, True))


def http_down(engine: Running, settings: Settings) -> Sample:
    return _bulk(engine, settings, load.Worker(load_http.bulk_client, engine.port, STREAMS, False))


def http_up(engine: Running, settings: Settings) -> Sample:
    return _bulk(engine, settings, load.Worker(load_http.bulk_client, engine.port, STREAMS, True))


def idle(engine: Running, settings: Settings) -> Sample:
    return _idle(engine, settings, load.Worker(load.idle_client, engine.port))


def http_idle(engine: Running, settings: Settings) -> Sample:
    return _idle(engine, settings, load.Worker(load_http.idle_client, engine.port))


def _idle(engine: Running, settings: Settings, worker: load.Worker) -> Sample:
    with clients([worker]) as workers:
        ask_all(workers, 1)
        time.sleep(SETTLE_SECONDS)
        before = process.resident_kib(engine.pid)
        ask_all(workers, settings.idle_connections)
        time.sleep(SETTLE_SECONDS)
        after = process.resident_kib(engine.pid)
        woken = process.wake_ups(engine.pid)
        time.sleep(settings.idle_seconds)
        woken = process.wake_ups(engine.pid) - woken
    return Sample(
        value=(after - before) / settings.idle_connections, resident_mib=after / 1024, wake_ups=woken
    )


def start(engine: Running, settings: Settings) -> Sample:
    return Sample(value=engine.start_ms, resident_mib=process.resident_kib(engine.pid) / 1024)


WORKS: Dict[str, Work] = {
    work.name: work
    for work in (
        Work("rr", "us CPU/round trip", "echo", round_trips),
        Work("churn", "us CPU/connection", "echo", churn),
        Work("bulk_down", "s CPU/GB", "source", bulk_down),
        Work("bulk_up", "s CPU/GB", "sink", bulk_up),
        Work("idle", "KiB/connection", "echo", idle),
        Work("start", "ms to first answer", "echo", start),
        Work("scale", "us CPU/round trip", "echo", many_round_trips),
        Work("tls_rr", "us CPU/round trip", "echo", tls_round_trips, mode=TLS),
        Work("tls_bulk", "s CPU/GB", "source", tls_bulk, mode=TLS),
        Work("filters", "us CPU/round trip", "echo", round_trips, mode=FILTERS),
        Work("http_rr", "us CPU/request", "http", http_round_trips, mode=HTTP),
        Work("http_down", "s CPU/GB", "http_bulk", http_down, mode=HTTP),
        Work("http_up", "s CPU/GB", "http_bulk", http_up, mode=HTTP),
        Work("http_idle", "KiB/connection", "http", http_idle, mode=HTTP),
        Work("http_routes", "us CPU/request", "http", http_round_trips, mode=HTTP_ROUTES),
    )
}
DEFAULT_WORKS = ["rr", "churn", "bulk_down", "bulk_up", "idle", "start", "scale"]
