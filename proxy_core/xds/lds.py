"""LDS: listeners from a subscription. Each response holds all of them; whoever is not in it any more is
removed.

A listener with a mistake is refused alone, the others of the response are in force, and the response counts
as rejected. What was refused is kept for /config_dump. Mirrors `LdsApiImpl`.
"""

from __future__ import annotations

import uuid
from typing import Callable, Dict, Final, List, Sequence, Set

from ..config.check import check_listener
from ..config.check_chains import IsTerminal
from ..config.context import TypeResolver
from ..config.dump import dump_any
from ..config.model.listener import Listener as ListenerConfig
from ..errors import ConfigError, Problem
from ..listener.binding import BindError
from ..listener.builder import Source
from ..listener.lists import Origin
from ..listener.manager import Failure, ListenerManager
from ..listener.update import Batch
from ..observe.log import component_logger
from .response import Rejected, Resource, Response, decode_response

# Envoy's own sentences say which listener they are about.
SAYS_WHERE: Final = ("error adding listener", "Listener ")

_log = component_logger("upstream")  # Envoy's choice


class LdsApi:
    """Applies LDS responses. is_terminal: whether the network filter of a type ends its chain; wall_clock:
    seconds since the epoch; on_applied: called after each."""

    def __init__(
        self, listeners: ListenerManager, types: TypeResolver, is_terminal: IsTerminal,
        wall_clock: Callable[[], float], on_applied: Callable[[], None],
    ) -> None:
        self._listeners = listeners
        self._types = types
        self._is_terminal = is_terminal
        self._wall_clock = wall_clock
        self._on_applied = on_applied
        self._unnamed: Dict[str, ListenerConfig] = {}  # the names made up for listeners without one

    def decode(self, data: bytes, path: str) -> Response[ListenerConfig]:
        """The content of a file. Raises ConfigError, Rejected."""
        return decode_response(data, path, ListenerConfig, self._types)

    def on_update(self, response: Response[ListenerConfig]) -> None:
        """Make the listeners those of the response. Raises Rejected if some could not be."""
        listeners = self._listeners
        names = self._names(response.resources)
        wanted = set(names)
        leaving = [name for name in listeners.names(Origin.LDS) if name not in wanted]
        listeners.failures, listeners.update_failures = [], []
        batch = listeners.begin(leaving)
        source = Source(Origin.LDS, response.version_info)
        seen: Set[str] = set()
        try:
            for resource, name in zip(response.resources, names):
                if name in seen:
                    self._refuse(resource, f"duplicate listener {name} found", is_of_listener=False)
                else:
                    seen.add(name)
                    self._apply(batch, resource, name, source)
        finally:  # what was replaced until then must not stay half alive
            batch.finish()
        for name in leaving:
            _log.info("lds: remove listener '%s'", name)
        self._on_applied()
        if listeners.update_failures:
            listed = "; ".join(f"{one.name}: {one.details}" for one in listeners.update_failures)
            raise Rejected(f"Error adding/updating listener(s) {listed}")
        listeners.version_info = response.version_info

    def check(self, response: Response[ListenerConfig]) -> List[Problem]:
        """What `on_update` would refuse, as far as that shows without binding; nothing is changed."""
        found: List[Problem] = []
        source = Source(Origin.LDS, response.version_info)
        for resource in response.resources:
            config, path = resource.config, resource.path
            problems = resource.problems or list(check_listener(config, path, self._is_terminal))
            if not problems:
                try:
                    self._listeners.check(config, path, source)
                except ConfigError as error:
                    problems = list(error.problems)
            found += problems
        return found

    def _apply(self, batch: Batch, resource: Resource[ListenerConfig], name: str, source: Source) -> None:
        config, path = resource.config, resource.path
        try:
            problems = resource.problems or list(check_listener(config, path, self._is_terminal))
            if problems:
                raise ConfigError(problems)
            if self._listeners.update(batch, config, path, source, name):
                _log.info("lds: add/update listener '%s'", name)
        except ConfigError as error:
            self._refuse(resource, _details(error.problems))
        except BindError as error:
            self._refuse(resource, str(error))

    def _refuse(self, resource: Resource[ListenerConfig], details: str, is_of_listener: bool = True) -> None:
        """is_of_listener: it belongs to the listener of that name, not only to the update."""
        name = resource.config.name
        _log.warning("lds: listener '%s' config rejected: %s", name, details)
        raw = resource.raw if resource.problems else dump_any(resource.config)
        failure = Failure(name, raw, details, self._wall_clock())
        self._listeners.update_failures.append(failure)
        if is_of_listener:
            self._listeners.failures.append(failure)

    def _names(self, resources: Sequence[Resource[ListenerConfig]]) -> List[str]:
        """The listeners' names. One without a name keeps the one that was made up for it as long as it stays
        the same, so that it is not replaced at each update, as it is by Envoy."""
        kept, self._unnamed = self._unnamed, {}
        names = []
        for resource in resources:
            name = resource.config.name
            if not name:
                same = (old for old, config in kept.items() if config == resource.config)
                name = next(same, "") or str(uuid.uuid4())
                kept.pop(name, None)
                self._unnamed[name] = resource.config
            names.append(name)
        return names


def _details(problems: Sequence[Problem]) -> str:
    """One text of all problems. Envoy's own sentences say which listener they are about; the others say
    where."""
    return "; ".join(one.message if one.message.startswith(SAYS_WHERE) else str(one) for one in problems)
