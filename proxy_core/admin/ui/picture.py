"""What a viewer is sent: the tallies of a walk, placed among the listeners, filter chains, clusters and hosts that
there are, and the few pairs that are shown one by one.

Everything in it is bounded: the busiest are taken, and what is left out is counted ("more").
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, Final, Iterable, List, Optional, Sequence, Tuple, TypeVar

from ...listener.listener import Listener
from ...upstream.cluster import Cluster
from ...upstream.host import Host
from ..host import AdminHost
from .rows import ended_row, is_open, pair_row
from .survey import ChainTally, Survey, Tally

Json = Dict[str, Any]
Item = TypeVar("Item")
MOST_LISTENERS: Final = 12
MOST_CHAINS: Final = 16
MOST_CLUSTERS: Final = 12
MOST_HOSTS: Final = 8  # of one cluster
MOST_ADDRESSES: Final = 4
MOST_ENDED: Final = 6
NOTHING: Final = Tally()


def picture(host: AdminHost, survey: Survey, seconds: float) -> Json:
    """seconds: since the walk before."""
    now = host.reactor.now
    pairs = [pair for pair in survey.shown() if is_open(pair.near)]
    listeners, more_listeners = _listeners(host, survey)
    chains, more_chains = _chains(host, survey, seconds)
    clusters, more_clusters = _clusters(host, survey, seconds)
    states = {state: tally.count for state, tally in survey.states.items()}
    return {
        "server": host.state(),
        "up_s": int(host.reactor.clock() - host.started_at),
        "total": {"connections": sum(states.values()), "states": states, **_rates(survey.states.values(), seconds)},
        "listeners": listeners,
        "more_listeners": more_listeners,
        "chains": chains,
        "more_chains": more_chains,
        "ways": [
            {"state": state, "cluster": cluster, "count": tally.count, **_rates([tally], seconds)}
            for (state, cluster), tally in survey.ways.items()
        ],
        "clusters": clusters,
        "more_clusters": more_clusters,
        "connections": [pair_row(pair, now, seconds) for pair in pairs],
        "matched": survey.matched,
        "ended": _ended(host, now),
    }


def _rates(tallies: Iterable[Any], seconds: float) -> Json:
    """Bytes a second from and to the clients."""
    received = sent = 0
    for tally in tallies:
        received += tally.received
        sent += tally.sent
    return {"in_rate": round(received / seconds), "out_rate": round(sent / seconds)}


def _listeners(host: AdminHost, survey: Survey) -> Tuple[List[Json], int]:
    counted: Dict[str, int] = {}
    for (listener, _), tally in survey.chains.items():
        counted[listener] = counted.get(listener, 0) + sum(tally.states.values())
    active = {listener.name: listener for listener in host.listeners.listeners}
    names = list(dict.fromkeys([*active, *counted]))
    shown = _busiest(names, MOST_LISTENERS, lambda name: counted.get(name, 0))
    return [_listener(name, active.get(name), counted.get(name, 0)) for name in shown], len(names) - len(shown)


def _listener(name: str, listener: Optional[Listener], connections: int) -> Json:
    """listener: None for one that is gone, whose connections drain."""
    addresses = listener.local_addresses()[:MOST_ADDRESSES] if listener is not None else []
    return {
        "name": name,
        "addresses": [str(address) for address in addresses],
        "accepts": listener is not None and bool(listener.sockets.all()),
        "connections": connections,
        "accepted": listener.stats.downstream_cx_total.value if listener is not None else None,
    }


def _chains(host: AdminHost, survey: Survey, seconds: float) -> Tuple[List[Json], int]:
    chains = {**_configured_chains(host), **survey.chains}
    rank = {entry.name: index for index, entry in enumerate(host.listeners.lists)}
    names = sorted(chains, key=lambda name: rank.get(name[0], 0))
    shown = _busiest(names, MOST_CHAINS, lambda name: sum(chains[name].states.values()))
    return [_chain(*name, chains[name], seconds) for name in shown], len(names) - len(shown)


def _configured_chains(host: AdminHost) -> Dict[Tuple[str, str], ChainTally]:
    """All chains of the active listeners, without connections."""
    found = {}
    for listener in host.listeners.listeners:
        default = listener.config.default_filter_chain
        for chain in [*listener.config.filter_chains, *([default] if default is not None else [])]:
            found[listener.name, chain.name] = ChainTally([entry.name for entry in chain.filters])
    return found


def _chain(listener: str, name: str, tally: ChainTally, seconds: float) -> Json:
    return {
        "listener": listener,
        "name": name,
        "filters": tally.filters,
        "parked": tally.parked,
        "states": tally.states,
        "connections": sum(tally.states.values()),
        **_rates([tally], seconds),
    }


def _clusters(host: AdminHost, survey: Survey, seconds: float) -> Tuple[List[Json], int]:
    counted: Dict[str, int] = {}
    for (name, _), tally in survey.hosts.items():
        counted[name] = counted.get(name, 0) + tally.count
    clusters = host.clusters.clusters()
    shown = _busiest(clusters, MOST_CLUSTERS, lambda one: counted.get(one.name, 0))
    return [_cluster(one, survey, counted.get(one.name, 0), seconds) for one in shown], len(clusters) - len(shown)


def _cluster(cluster: Cluster, survey: Survey, connections: int, seconds: float) -> Json:
    shown, hosts = [], cluster.hosts
    unhealthy = sum(not member.is_healthy for member in hosts)
    for member in _busiest(hosts, MOST_HOSTS, _telling):
        address = str(member.address)
        tally = survey.hosts.get((cluster.name, address), NOTHING)
        shown.append({
            "address": address,
            "health": member.health_flags(),
            "healthy": member.is_healthy,
            "connections": tally.count,
            **_rates([tally], seconds),
        })
    return {
        "name": cluster.name,
        "connections": connections,
        "hosts": shown,
        "more_hosts": max(0, len(hosts) - MOST_HOSTS),
        "unhealthy": unhealthy,
    }


def _telling(member: Host) -> Tuple[bool, int]:
    """Ill hosts are worth more than busy ones."""
    return not member.is_healthy, member.counters.cx_active


def _busiest(items: Sequence[Item], most: int, weight: Callable[[Item], Any]) -> List[Item]:
    """Those of the greatest weight, in the order in which they were, so that none jumps about."""
    chosen = set(sorted(range(len(items)), key=lambda index: weight(items[index]), reverse=True)[:most])
    return [item for index, item in enumerate(items) if index in chosen]


def _ended(host: AdminHost, now: float) -> List[Json]:
    """The clients' connections that ended last."""
    newest = (one for one in host.table.closed.newest_first() if one.side == "downstream")
    return [ended_row(one, now) for one in itertools.islice(newest, MOST_ENDED)]
