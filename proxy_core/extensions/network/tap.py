"""tap: writes down what its connections receive and send, with the time of each piece, for `testing.replay`, `tools/replay.py`
and people. Ours; Envoy's taps are a transport socket and an HTTP filter, with messages of their own.

Put first into a filter chain it records what came off the wire (decrypted) and what goes onto it, piece by piece as it was
read and written. Behind a filter that holds bytes back it records what that filter lets through; what a filter further on
leaves in a buffer that is not the connection's own is then recorded each time it is shown.

A connection is recorded if the file takes more, or somebody looks on at /tap, when it is made. Else the filter is not in its
way at all. The records are described in `observe.tap`; the file is buffered and reopened as access logs are.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any, Final, Optional

from ...buffer import Buffer
from ...config.fields import AnyOf, AnyValue, Message, PythonConfig, Report, String, UInt64, message, optional, plain
from ...errors import ConfigError, Problem
from ...filters.api import (
    CONNECTED, CONTINUE, ConnectionEvent, FilterFactory, FilterManager, FilterStatus, ReadFilterCallbacks,
    WriteFilterCallbacks,
)
from ...filters.registry import FactoryContext, NetworkExtension
from ...network.connection import Connection
from ...observe.tap import IN, OUT, Recorder, Redact, TapFile, TapHub

NAME: Final = "proxy_core.filters.network.tap"
FULL: Final = "full"
LENGTHS: Final = "lengths"
BYTES_PER_CONNECTION: Final = 1 << 20
FILE_BYTES: Final = 64 << 20
CONNECTIONS: Final = 1000


@message("proxy_core.filters.network.tap.v1.Tap")
@dataclasses.dataclass(eq=False, repr=False)
class TapConfig(Message):
    """Records connections. Not in Envoy."""

    name: str = plain(String(min_len=1), help="What the records and /tap call it.")
    path: str = plain(String(), help="A file of JSON lines, appended to; without one there is only /tap.")
    payload: str = plain(String(choices=("", FULL, LENGTHS)), help="What of the bytes is recorded; default full.")
    redact: Optional[AnyValue] = optional(
        AnyOf(), help="python:<module>.<name>, called once per connection with its other keys; what it answers is called with "
                      "\"in\" or \"out\" and the bytes, and answers with the bytes to record, or None for their length."
    )
    max_bytes_per_connection: Optional[int] = optional(UInt64(), help="Payload that is recorded; default 1 MiB.")
    max_file_bytes: Optional[int] = optional(UInt64(), help="Default 64 MiB.")
    max_connections: Optional[int] = optional(UInt64(), help="How many are recorded in the file; default 1000.")

    def check(self, report: Report) -> None:
        """Only a callable of the user's own can redact."""
        if self.redact is not None and not isinstance(self.redact.message, PythonConfig):
            report("redact", "expected a type of the form python:<module>.<name>")


class Tap:
    """One configured filter. file: None without one."""

    def __init__(self, config: TapConfig, context: FactoryContext, hub: TapHub, file: Optional[TapFile]) -> None:
        self._config = config
        self._reactor = context.reactor
        self._hub = hub
        self._file = file
        most = config.max_connections
        self._connections_left = CONNECTIONS if most is None else most
        limit = config.max_bytes_per_connection
        self._most_bytes = BYTES_PER_CONNECTION if limit is None else limit

    def recorder(self, connection: Connection) -> Optional[Recorder]:
        """What writes this connection down, None if nobody wants it."""
        file = self._file if self._file is not None and not self._file.is_full and self._connections_left else None
        if file is None and not self._hub.viewers:
            return None
        if file is not None:
            self._connections_left -= 1
        info = connection.info
        about = {
            "wall": info.start_wall, "listener": info.listener_name, "remote": info.downstream_remote_address,
            "local": info.downstream_local_address,
        }
        report = functools.partial(self._reactor.contain, owner=None)
        return Recorder(
            self._hub, file, self._config.name, connection.id, about, self._most_bytes, self._redact(), report
        )

    def _redact(self) -> Redact:
        redact = self._config.redact
        if redact is not None:
            own: Any = redact.message
            made: Redact = own.target(dict(own.config))
            return made
        return _nothing if self._config.payload == LENGTHS else _everything


def _everything(direction: str, data: bytes) -> Optional[bytes]:
    return data


def _nothing(direction: str, data: bytes) -> Optional[bytes]:
    return None


class TapFilter:
    """One connection, written down."""

    __slots__ = ("_recorder", "_connection", "_began", "_seen")


    inspects_data = True

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._connection: Connection
        self._began = 0.0
        self._seen = 0  # bytes that the connection had received when this filter was last shown any

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        """Keep the connection."""
        self._connection = callbacks.connection
        self._began = self._connection.opened_at

    def initialize_write_filter_callbacks(self, callbacks: WriteFilterCallbacks) -> None:
        """Nothing to keep."""

    def on_new_connection(self) -> FilterStatus:
        """Go on."""
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """What is new of it. The connection's own buffer begins with what filters further on have left there."""
        connection = self._connection
        new = data.size
        if data is connection.read_buffer:
            new = min(new, connection.bytes_read - self._seen)
            self._seen = connection.bytes_read
        if new or end_stream:
            self._recorder.chunk(self._t, IN, bytes(data)[data.size - new:], end_stream)
        return CONTINUE

    def on_write(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """All of it."""
        self._recorder.chunk(self._t, OUT, bytes(data), end_stream)
        return CONTINUE

    def on_event(self, event: ConnectionEvent) -> None:
        """The end."""
        if event is not CONNECTED:
            self._recorder.close(self._t, str(self._connection.close_reason))

    @property
    def _t(self) -> float:
        return self._connection.reactor.now - self._began


def build(config: TapConfig, context: FactoryContext) -> FilterFactory:
    """The factory; taps with one path share their file, and its limit is that of the first. Raises ConfigError."""
    hub = context.singletons.get(TapHub)
    tap = Tap(config, context, hub, _file(config, context, hub))

    def add(manager: FilterManager) -> None:
        recorder = tap.recorder(manager.connection)
        if recorder is not None:
            both = TapFilter(recorder)
            manager.add_read_filter(both, NAME)
            manager.add_write_filter(both, NAME)
    return add


def _file(config: TapConfig, context: FactoryContext, hub: TapHub) -> Optional[TapFile]:
    if not config.path:
        return None
    if config.path not in hub.files:
        try:
            sink = context.access_logs.sinks.file(config.path)
        except OSError as error:
            text = f"unable to open file '{config.path}': {error.strerror}"
            raise ConfigError([Problem(f"{context.path}.path", text)]) from error
        size = os.path.getsize(config.path) if os.path.isfile(config.path) else 0
        most = FILE_BYTES if config.max_file_bytes is None else config.max_file_bytes
        hub.files[config.path] = TapFile(sink, most, size)
    return hub.files[config.path]


EXTENSION = NetworkExtension(TapConfig, False, build)
