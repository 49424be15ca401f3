"""envoy.extensions.compression.gzip.decompressor: a body that was compressed, piece by piece. A layer over zlib.

Unlike Envoy's it takes all members of a body (RFC 1952, section 2.2), and knows whether the last one is complete.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final, List, NamedTuple, Optional

from ....config.fields import Message, UInt32, message, optional
from ....config.model.core import TypedExtensionConfig
from ....errors import ConfigError, PeerError, Problem

ENCODING: Final = "gzip"
_GZIP_CONTAINER: Final = 16  # added to the window bits: zlib expects gzip's head and tail
_WIDEST_WINDOW: Final = 15
_DEFAULT_RATIO, _DEFAULT_CHUNK = 100, 4096
_MAGIC: Final = b"\x1f\x8b"


@message("envoy.extensions.compression.gzip.decompressor.v3.Gzip")
@dataclass(eq=False, repr=False)
class Gzip(Message):
    """gzip (RFC 1952)."""

    window_bits: Optional[int] = optional(UInt32(gte=9, lte=15), help="Default 15.")
    chunk_size: Optional[int] = optional(UInt32(gte=4096, lte=65536), help="Bytes that any input may become; default 4096.")
    max_inflate_ratio: Optional[int] = optional(
        UInt32(gte=1, lte=1032), help="Bytes that one byte may become, default 100. More is taken for an attack."
    )


class Limits(NamedTuple):
    """What an input may become: `ratio` times its size, or one `chunk` if that is more."""

    ratio: int
    chunk: int


class Inflater:
    """One body."""

    __slots__ = ("_window", "_limits", "_member", "_is_fresh", "_is_over", "_tail")

    def __init__(self, window: int, limits: Limits) -> None:
        self._window = window | _GZIP_CONTAINER
        self._limits = limits
        self._member: Any = zlib.decompressobj(self._window)
        self._is_fresh = True  # no byte of this member has come
        self._is_over = False  # all that comes is padding
        self._tail = b""  # behind a member: what might be the begin of the next

    def inflate(self, data: bytes) -> bytes:
        """What these bytes stand for. Raises `PeerError` for what is no gzip, and for too much."""
        most = max(len(data) * self._limits.ratio, self._limits.chunk)
        found: List[bytes] = []
        size = 0
        data, self._tail = self._tail + data, b""
        while data and not self._is_over:
            if self._member.eof and not self._begin_member(data):
                break
            self._is_fresh = False
            try:
                piece: bytes = self._member.decompress(data, most - size + 1)
            except zlib.error as error:
                raise PeerError(f"not gzip: {error}") from None
            found.append(piece)
            size += len(piece)
            if size > most:
                raise PeerError(f"more than {most} bytes out of {len(data)}")
            data = self._member.unused_data
        return b"".join(found)

    @property
    def complete(self) -> bool:
        """Whether the last member has ended. A body without a byte is complete as well."""
        return bool(self._member.eof) or self._is_fresh

    def _begin_member(self, data: bytes) -> bool:
        """Whether another member begins here. What is none is padding, which gzip(1) ignores as well."""
        if data == _MAGIC[:1]:
            self._tail = data  # one more byte will tell
            return False
        if not data.startswith(_MAGIC):
            self._is_over = True
            return False
        self._member = zlib.decompressobj(self._window)
        return True


class InflaterFactory:
    """Makes one `Inflater` per body."""

    __slots__ = ("_window", "_limits")

    def __init__(self, library: TypedExtensionConfig, path: str) -> None:
        """Raises `ConfigError` for a library other than gzip."""
        config = library.typed_config.message if library.typed_config is not None else None
        if not isinstance(config, Gzip):
            found = library.typed_config.type_name if library.typed_config is not None else ""
            text = f"Didn't find a registered implementation for type: '{found}'"
            raise ConfigError([Problem(f"{path}.typed_config", text)])
        self._window = config.window_bits or _WIDEST_WINDOW
        self._limits = Limits(config.max_inflate_ratio or _DEFAULT_RATIO, config.chunk_size or _DEFAULT_CHUNK)

    def make(self) -> Inflater:
        """For one body."""
        return Inflater(self._window, self._limits)
