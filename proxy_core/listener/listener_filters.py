"""The listener filters of one listener, prepared: how to make each, and for which connections it is switched off."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional

from ..config.model.listener import Listener as ListenerConfig
from ..config.model.listener import ListenerFilterChainMatchPredicate as Predicate
from ..errors import ConfigError, Problem
from ..filters.listener_api import ListenerFilter
from ..network.address import Address
from ..observe.stats import Scope
from .context import ListenerContext, listener_filter_context
from .drain import DrainManager


class PreparedListenerFilter(NamedTuple):
    """new: makes the filter of one socket. disabled: whether it is skipped for a connection to this local address."""

    new: Callable[[], ListenerFilter]
    disabled: Optional[Callable[[Address], bool]]


def prepare(
    config: ListenerConfig, context: ListenerContext, drain: DrainManager, path: str, scope: Scope, problems: List[Problem]
) -> List[PreparedListenerFilter]:
    """The listener's filters in order; what is wrong with them is added to `problems`. scope: the listener's stats."""
    prepared = []
    for index, entry in enumerate(config.listener_filters):
        where = f"{path}.listener_filters[{index}].typed_config"
        assert entry.typed_config is not None
        extension = context.listener_filters.get(entry.typed_config.type_name)
        if extension is None:
            problems.append(Problem(where, f"'{entry.typed_config.type_name}' is not a listener filter"))
            continue
        try:
            new = extension.build(entry.typed_config.message, listener_filter_context(context, drain, where, scope))
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        disabled = None if entry.filter_disabled is None else _predicate(entry.filter_disabled)
        prepared.append(PreparedListenerFilter(new, disabled))
    return prepared


def _predicate(config: Predicate) -> Callable[[Address], bool]:
    """Mirrors `ListenerFilterMatcherBuilder`."""
    if config.or_match is not None:
        either = [_predicate(rule) for rule in config.or_match.rules]
        return lambda address: any(rule(address) for rule in either)
    if config.and_match is not None:
        both = [_predicate(rule) for rule in config.and_match.rules]
        return lambda address: all(rule(address) for rule in both)
    if config.not_match is not None:
        refused = _predicate(config.not_match)
        return lambda address: not refused(address)
    if config.destination_port_range is not None:
        ports = range(config.destination_port_range.start, config.destination_port_range.end)
        return lambda address: not address.path and address.port in ports
    return lambda address: True
