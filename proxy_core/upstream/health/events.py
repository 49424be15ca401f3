"""What health checks log: JSON lines in the form of Envoy's `envoy.data.core.v3.HealthCheckEvent`."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, List, Sequence

from ...config.model.health_check import HealthCheck, HealthCheckEventFileSink
from ...errors import ConfigError, Problem
from ...observe.access_log.sink import Sink
from ..event_log import Sinks, json_line, open_log, timestamp
from ..host import Host
from . import standing
from .outcome import Outcome

# In Envoy's order of the message's fields: these come before the timestamp, the others after it.
_BEFORE_TIMESTAMP: Final = frozenset({standing.ADD_HEALTHY, standing.EJECT_UNHEALTHY})
_AFTER_LOCALITY: Final = frozenset({standing.SUCCESS})


class EventLog:
    """Writes the events of one check to its sinks. wall_clock: seconds since the epoch."""

    __slots__ = ("_sinks", "_checker_type", "_cluster_name", "_wall_clock")

    def __init__(
        self, sinks: Sequence[Sink], checker_type: str, cluster_name: str, wall_clock: Callable[[], float]
    ) -> None:
        self._sinks = sinks
        self._checker_type = checker_type
        self._cluster_name = cluster_name
        self._wall_clock = wall_clock

    def write(self, events: Sequence[str], host: Host, outcome: Outcome, first: bool) -> None:
        """Log what one result led to."""
        if not self._sinks:
            return
        for name in events:
            line = self._line(name, host, _fields(name, outcome, first))
            for sink in self._sinks:
                sink.write(line)

    def _line(self, name: str, host: Host, fields: Dict[str, Any]) -> str:
        event: Dict[str, Any] = {
            "health_checker_type": self._checker_type, "host": address_message(host), "cluster_name": self._cluster_name,
        }
        if name in _BEFORE_TIMESTAMP:
            event[name] = fields
        event["timestamp"] = timestamp(self._wall_clock())
        if name not in _BEFORE_TIMESTAMP and name not in _AFTER_LOCALITY:
            event[name] = fields
        if host.metadata:
            event["metadata"] = {"filter_metadata": host.metadata, "typed_filter_metadata": {}}
        event["locality"] = {"region": host.region, "zone": host.zone, "sub_zone": host.sub_zone}
        if name in _AFTER_LOCALITY:
            event[name] = fields
        return json_line(event)


def _fields(name: str, outcome: Outcome, first: bool) -> Dict[str, Any]:
    if name == standing.ADD_HEALTHY:
        return {"first_check": first}
    if name == standing.EJECT_UNHEALTHY:
        return {"failure_type": outcome.failure, "http_status_code": outcome.status}
    if name == standing.FAILURE:
        return {"failure_type": outcome.failure, "first_check": first, "http_status_code": outcome.status}
    return {}


def address_message(host: Host) -> Dict[str, Any]:
    """envoy.config.core.v3.Address with all its fields."""
    address = host.address
    if not address.ip:
        return {"pipe": {"path": address.path, "mode": address.mode}}
    return {"socket_address": {
        "protocol": "TCP", "address": address.ip, "port_value": address.port, "resolver_name": "", "ipv4_compat": False,
        "network_namespace_filepath": "",
    }}


def open_sinks(config: HealthCheck, sinks: Sinks, path: str) -> List[Sink]:
    """The sinks that a check asks for. path: of the check. Raises ConfigError."""
    wanted = [(config.event_log_path, f"{path}.event_log_path")] if config.event_log_path else []
    for index, logger in enumerate(config.event_logger):
        where = f"{path}.event_logger[{index}].typed_config"
        message = logger.typed_config.message if logger.typed_config is not None else None
        if not isinstance(message, HealthCheckEventFileSink):
            raise ConfigError([Problem(where, "is not a sink for health check events")])
        wanted.append((message.event_log_path, f"{where}.event_log_path"))
    return [open_log(sinks, file, where) for file, where in wanted]
