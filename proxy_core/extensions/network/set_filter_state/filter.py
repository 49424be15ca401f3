"""The configuration of set_filter_state, its format strings compiled once per filter chain, and the filter.

Three moments: when the connection is new; when it is up, which on a TLS listener is after the handshake (and on any other at
once, as in Envoy); and at the client's first bytes or, if there are none, at its end. `read_only` is deprecated and does nothing,
as in Envoy 1.40: a later value always wins.
"""

from __future__ import annotations

import dataclasses
from typing import List, Optional, Sequence

from ....buffer import Buffer
from ....config.fields import Bool, Enum, Message, Nested, String, message, optional, plain, repeated
from ....config.model.core import SubstitutionFormatString
from ....errors import ConfigError, Problem
from ....filters.api import CONNECTED, CONTINUE, ConnectionEvent, FilterFactory, FilterManager, FilterStatus
from ....filters.registry import FactoryContext, NetworkExtension
from ....network.connection import Connection
from ....network.facts import refresh_stream_info
from ....observe.access_log.format import FormatCompiler, Formatter
from ....observe.access_log.values import LogContext
from ...access_log.registry import compile_substitution
from ..policy import PolicyFilter
from .objects import NOT_SUPPORTED, Make, factories

NAME = "envoy.filters.network.set_filter_state"


@message(
    "envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue", required_oneofs=("key", "value")
)
@dataclasses.dataclass(eq=False, repr=False)
class FilterStateValue(Message):
    """One object: its name, its kind, and the format string of its text."""

    object_key: Optional[str] = optional(
        String(min_len=1), oneof="key", help="Its name, and its kind if there is no factory_key."
    )
    format_string: Optional[SubstitutionFormatString] = optional(Nested(SubstitutionFormatString), oneof="value")
    read_only: bool = plain(Bool(), deprecated=True, help="Does nothing.")
    shared_with_upstream: str = plain(Enum(NONE=0, ONCE=1, TRANSITIVE=2), help="Whether the upstream connection has it too.")
    skip_if_empty: bool = plain(Bool(), help="Set nothing when the text is empty.")
    factory_key: str = plain(String(), help='The kind, for a name of one\'s own: "envoy.string".')


@message("envoy.extensions.filters.network.set_filter_state.v3.Config")
@dataclasses.dataclass(eq=False, repr=False)
class SetFilterStateConfig(Message):
    """What to set when."""

    on_new_connection: List[FilterStateValue] = repeated(Nested(FilterStateValue))
    on_downstream_tls_handshake: List[FilterStateValue] = repeated(
        Nested(FilterStateValue), help="When the connection is up: after the handshake if there is one."
    )
    on_downstream_data: List[FilterStateValue] = repeated(Nested(FilterStateValue), help="At the client's first bytes.")


class _Update:
    """One object to set, compiled."""

    def __init__(self, config: FilterStateValue, make: Make, formatter: Formatter) -> None:
        self._key = config.object_key or ""
        self._skip_if_empty = config.skip_if_empty
        self._shared = config.shared_with_upstream != "NONE"
        self._make = make
        self._formatter = formatter

    def apply(self, connection: Connection, context: LogContext) -> None:
        """Set it, unless the text is not what this kind of object is made of."""
        text = self._formatter.format(connection.info, context)
        made = self._make(text) if text or not self._skip_if_empty else None
        if made is not None:
            made.shared = self._shared
            connection.info.set_filter_state(self._key, made)


class _Prepared:
    """The compiled updates of one configured filter. Raises ConfigError with every problem in them."""

    def __init__(self, config: SetFilterStateConfig, context: FactoryContext) -> None:
        compiler = FormatCompiler()
        problems: List[Problem] = []

        def compiled(name: str) -> Sequence[_Update]:
            found = []
            for index, value in enumerate(getattr(config, name)):
                update = _compile(value, compiler, f"{context.path}.{name}[{index}]", problems)
                found += [update] if update is not None else []
            return found
        self.on_new_connection = compiled("on_new_connection")
        self.on_connected = compiled("on_downstream_tls_handshake")
        self.on_data = compiled("on_downstream_data")
        if problems:
            raise ConfigError(problems)


def _compile(
    value: FilterStateValue, compiler: FormatCompiler, path: str, problems: List[Problem]
) -> Optional[_Update]:
    kind = value.factory_key or value.object_key or ""
    make = factories().get(kind)
    if make is None:
        text = f"'{value.object_key}' does not have an object factory"
        if kind in NOT_SUPPORTED:
            text = f"'{kind}' is not supported yet: nothing here would look at it"
        problems.append(Problem(f"{path}.{'factory_key' if value.factory_key else 'object_key'}", text))
        return None
    assert value.format_string is not None
    try:
        return _Update(value, make, compile_substitution(value.format_string, compiler, f"{path}.format_string"))
    except ValueError as error:
        problems.append(Problem(f"{path}.format_string", str(error)))
    except ConfigError as error:
        problems.extend(error.problems)
    return None


class SetFilterState(PolicyFilter):
    """One connection's moments."""

    __slots__ = ("_prepared", "_had_data")

    def __init__(self, prepared: _Prepared) -> None:
        self._prepared = prepared
        self._had_data = False

    def on_new_connection(self) -> FilterStatus:
        """The first moment."""
        self._apply(self._prepared.on_new_connection)
        return CONTINUE

    def on_event(self, event: ConnectionEvent) -> None:
        """The second, when the connection is up."""
        if event is CONNECTED:
            self._apply(self._prepared.on_connected)

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """The third, once."""
        if not self._had_data:
            self._had_data = True
            self._apply(self._prepared.on_data)
        return CONTINUE

    def _apply(self, updates: Sequence[_Update]) -> None:
        if not updates:
            return
        connection: Connection = self.connection
        refresh_stream_info(connection)
        info, now = connection.info, connection.reactor.now
        context = LogContext("NotSet", info.start_wall + now - info.start_mono, now)
        for update in updates:
            update.apply(connection, context)


def build(config: SetFilterStateConfig, context: FactoryContext) -> FilterFactory:
    """The factory; formats are compiled once."""
    prepared = _Prepared(config, context)

    def add(manager: FilterManager) -> None:
        manager.add_read_filter(SetFilterState(prepared), NAME)
    return add


EXTENSION = NetworkExtension(SetFilterStateConfig, False, build)
