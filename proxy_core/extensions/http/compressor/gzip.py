"""envoy.extensions.compression.gzip.compressor: how bodies are compressed. A thin layer over zlib."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Callable, Final, Optional

from ....config.fields import Enum, Message, UInt32, message, optional, plain
from ....config.model.core import TypedExtensionConfig
from ....errors import ConfigError, Problem

ENCODING: Final = "gzip"
_GZIP_CONTAINER: Final = 16  # added to the window bits: zlib writes gzip's head and tail
_DEFAULT_MEMORY, _DEFAULT_WINDOW = 5, 12

_LEVELS: Final = {
    "DEFAULT_COMPRESSION": zlib.Z_DEFAULT_COMPRESSION, "BEST_SPEED": 1, "BEST_COMPRESSION": 9,
    **{f"COMPRESSION_LEVEL_{level}": level for level in range(1, 10)},
}
_LEVEL = Enum(
    DEFAULT_COMPRESSION=0, BEST_SPEED=1, COMPRESSION_LEVEL_1=1, COMPRESSION_LEVEL_2=2, COMPRESSION_LEVEL_3=3,
    COMPRESSION_LEVEL_4=4, COMPRESSION_LEVEL_5=5, COMPRESSION_LEVEL_6=6, COMPRESSION_LEVEL_7=7, COMPRESSION_LEVEL_8=8,
    COMPRESSION_LEVEL_9=9, BEST_COMPRESSION=9,
)
_STRATEGIES: Final = {
    "DEFAULT_STRATEGY": zlib.Z_DEFAULT_STRATEGY, "FILTERED": zlib.Z_FILTERED, "HUFFMAN_ONLY": zlib.Z_HUFFMAN_ONLY,
    "RLE": zlib.Z_RLE, "FIXED": zlib.Z_FIXED,
}

Factory = Callable[[], Any]


@message("envoy.extensions.compression.gzip.compressor.v3.Gzip")
@dataclass(eq=False, repr=False)
class Gzip(Message):
    """gzip (RFC 1952)."""

    memory_level: Optional[int] = optional(UInt32(gte=1, lte=9), help="Default 5.")
    compression_level: str = plain(_LEVEL)
    compression_strategy: str = plain(Enum(DEFAULT_STRATEGY=0, FILTERED=1, HUFFMAN_ONLY=2, RLE=3, FIXED=4))
    window_bits: Optional[int] = optional(UInt32(gte=9, lte=15), help="Default 12.")
    chunk_size: Optional[int] = optional(UInt32(gte=4096, lte=65536), help="Of no effect.")


def factory_of(library: TypedExtensionConfig, path: str) -> Factory:
    """What makes a `zlib.compressobj`, one per body. Raises `ConfigError` for a library other than gzip."""
    config = library.typed_config.message if library.typed_config is not None else None
    if not isinstance(config, Gzip):
        found = library.typed_config.type_name if library.typed_config is not None else ""
        text = f"Didn't find a registered implementation for type: '{found}'"
        raise ConfigError([Problem(f"{path}.typed_config", text)])
    level, strategy = _LEVELS[config.compression_level], _STRATEGIES[config.compression_strategy]
    window = (config.window_bits or _DEFAULT_WINDOW) | _GZIP_CONTAINER
    memory = config.memory_level or _DEFAULT_MEMORY
    return lambda: zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
