"""envoy.config.core.v3 and envoy.type.v3: the small messages that many others are made of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, Optional

from ...errors import ConfigError, Problem
from ..context import join
from ..descriptor import Message, Report, mapping, message, optional, plain
from ..kinds import Bool, Bytes, Double, Duration, Enum, Int32, Int64, String, Struct, UInt32
from ..nested import AnyOf, AnyValue, Nested

ROUTING_PRIORITY = Enum(DEFAULT=0, HIGH=1)
TRAFFIC_DIRECTION = Enum(UNSPECIFIED=0, INBOUND=1, OUTBOUND=2)
HEALTH_STATUS = Enum(UNKNOWN=0, HEALTHY=1, UNHEALTHY=2, DRAINING=3, TIMEOUT=4, DEGRADED=5)


@message("envoy.config.core.v3.Locality")
@dataclass(eq=False, repr=False)
class Locality(Message):
    """Where something runs: a region, a zone in it, a part of that."""

    region: str = plain(String())
    zone: str = plain(String())
    sub_zone: str = plain(String())


@message(
    "envoy.config.core.v3.Node",
    unsupported=(
        "user_agent_name", "user_agent_version", "user_agent_build_version", "extensions", "client_features",
        "listening_addresses", "dynamic_parameters",
    ),
)
@dataclass(eq=False, repr=False)
class Node(Message):
    """Who this proxy is, as told to management servers and shown by the admin."""

    id: str = plain(String(), help="Name of this instance; --service-node wins.")
    cluster: str = plain(String(), help="Name of the service it belongs to; --service-cluster wins.")
    metadata: Optional[Dict[str, Any]] = optional(Struct(), help="Anything; shown, not interpreted.")
    locality: Optional[Locality] = optional(Nested(Locality))


@message("envoy.config.core.v3.Metadata")
@dataclass(eq=False, repr=False)
class Metadata(Message):
    """Opaque data for filters, by filter name."""

    filter_metadata: Dict[str, Dict[str, Any]] = mapping(Struct(), help="Key: reverse DNS filter name.")
    typed_filter_metadata: Dict[str, AnyValue] = mapping(
        AnyOf(), help="As filter_metadata, with a typed value."
    )


@message("envoy.type.v3.Percent")
@dataclass(eq=False, repr=False)
class Percent(Message):
    """A percentage."""

    value: float = plain(Double(gte=0, lte=100), help="0 to 100.")


@message("envoy.type.v3.FractionalPercent")
@dataclass(eq=False, repr=False)
class FractionalPercent(Message):
    """A fraction: numerator / denominator."""

    _PARTS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}

    numerator: int = plain(UInt32())
    denominator: str = plain(Enum(HUNDRED=0, TEN_THOUSAND=1, MILLION=2))

    @property
    def fraction(self) -> float:
        """0.0 to 1.0; a numerator above the denominator counts as all."""
        return min(1.0, self.numerator / self._PARTS[self.denominator])


@message("envoy.type.v3.Int32Range")
@dataclass(eq=False, repr=False)
class Int32Range(Message):
    """Half-open range: start <= x < end."""

    start: int = plain(Int32())
    end: int = plain(Int32())


@message("envoy.type.v3.Int64Range")
@dataclass(eq=False, repr=False)
class Int64Range(Message):
    """Half-open range: start <= x < end."""

    start: int = plain(Int64())
    end: int = plain(Int64())


@message("envoy.type.v3.DoubleRange")
@dataclass(eq=False, repr=False)
class DoubleRange(Message):
    """Half-open range: start <= x < end."""

    start: float = plain(Double())
    end: float = plain(Double())


@message("envoy.config.core.v3.RuntimeUInt32")
@dataclass(eq=False, repr=False)
class RuntimeUInt32(Message):
    """A number that a runtime key may override."""

    default_value: int = plain(UInt32(), help="Used when the key is not set in the runtime.")
    runtime_key: str = plain(String())


@message("envoy.config.core.v3.RuntimeDouble")
@dataclass(eq=False, repr=False)
class RuntimeDouble(Message):
    """A number that a runtime key may override."""

    default_value: float = plain(Double(), help="Used when the key is not set in the runtime.")
    runtime_key: str = plain(String())


@message("envoy.config.core.v3.RuntimePercent")
@dataclass(eq=False, repr=False)
class RuntimePercent(Message):
    """A percentage that a runtime key may override."""

    default_value: Optional[Percent] = optional(Nested(Percent))
    runtime_key: str = plain(String())


@message("envoy.config.core.v3.RuntimeFractionalPercent")
@dataclass(eq=False, repr=False)
class RuntimeFractionalPercent(Message):
    """A fraction that a runtime key may override."""

    default_value: Optional[FractionalPercent] = optional(Nested(FractionalPercent), required=True)
    runtime_key: str = plain(String())


@message("envoy.config.core.v3.RuntimeFeatureFlag")
@dataclass(eq=False, repr=False)
class RuntimeFeatureFlag(Message):
    """A switch that a runtime key may override."""

    default_value: Optional[bool] = optional(Bool(), required=True)
    runtime_key: str = plain(String())


@message("envoy.config.core.v3.BackoffStrategy")
@dataclass(eq=False, repr=False)
class BackoffStrategy(Message):
    """Exponential backoff with full jitter."""

    base_interval: Optional[float] = optional(Duration(gte=0.001), required=True)
    max_interval: Optional[float] = optional(Duration(gt=0), help="Default 10 times base_interval.")

    def check(self, report: Report) -> None:
        if self.max_interval is not None and self.max_interval < (self.base_interval or 0):
            text = "max_interval must be greater than or equal to the base_interval"
            report("max_interval", text, uses=("base_interval",))


@message("envoy.config.core.v3.TypedExtensionConfig")
@dataclass(eq=False, repr=False)
class TypedExtensionConfig(Message):
    """A named extension with its configuration."""

    name: str = plain(String(min_len=1))
    typed_config: Optional[AnyValue] = optional(AnyOf(), required=True)


@message("envoy.config.core.v3.TransportSocket")
@dataclass(eq=False, repr=False)
class TransportSocket(Message):
    """What lies between the kernel's socket and the filters: raw bytes or TLS."""

    name: str = plain(String(min_len=1), help="Free text; the type decides.")
    typed_config: Optional[AnyValue] = optional(AnyOf(), required=True, oneof="config_type")


@message(
    "envoy.config.core.v3.DataSource", unsupported=("watched_directory",), required_oneofs=("specifier",)
)
@dataclass(eq=False, repr=False)
class DataSource(Message):
    """Bytes from a file, from the configuration itself, or from the environment."""

    filename: Optional[str] = optional(String(min_len=1), oneof="specifier")
    inline_bytes: Optional[bytes] = optional(Bytes(), oneof="specifier")
    inline_string: Optional[str] = optional(String(), oneof="specifier")
    environment_variable: Optional[str] = optional(String(min_len=1), oneof="specifier")

    def read(self, path: str = "", allow_empty: bool = True) -> bytes:
        """The bytes meant. `path`: the JSON path for the error. Raises `ConfigError` if they can't be had."""
        try:
            data = self._read()
        except (OSError, ValueError) as error:
            raise ConfigError([Problem(join(path, "filename"), _unreadable(self.filename, error))]) from None
        if data is None:
            text = f"Environment variable doesn't exist: {self.environment_variable}"
            raise ConfigError([Problem(join(path, "environment_variable"), text)])
        if not data and not allow_empty:
            raise ConfigError([Problem(path, "DataSource cannot be empty")])
        return data

    def _read(self) -> Optional[bytes]:
        if self.filename is not None:
            with open(self.filename, "rb") as file:
                return file.read()
        if self.inline_bytes is not None:
            return self.inline_bytes
        if self.inline_string is not None:
            return self.inline_string.encode()
        value = os.environ.get(self.environment_variable or "")
        return None if value is None else os.fsencode(value)


def _unreadable(filename: Optional[str], error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"Invalid path: {filename}"
    return f"unable to read file: {filename} ({getattr(error, 'strerror', None) or error})"


@message("envoy.config.core.v3.JsonFormatOptions")
@dataclass(eq=False, repr=False)
class JsonFormatOptions(Message):
    """How JSON log lines are printed."""

    sort_properties: bool = plain(Bool(), deprecated=True, help="Keys in alphabetical order.")


@message(
    "envoy.config.core.v3.SubstitutionFormatString", unsupported=("formatters",), required_oneofs=("format",)
)
@dataclass(eq=False, repr=False)
class SubstitutionFormatString(Message):
    """A format with command operators such as %START_TIME%, as text or as JSON."""

    text_format: Optional[str] = optional(
        String(), oneof="format", deprecated=True, help="Use text_format_source."
    )
    json_format: Optional[Dict[str, Any]] = optional(Struct(), oneof="format")
    omit_empty_values: bool = plain(
        Bool(), help="Text: nothing instead of '-'; JSON: no key instead of null."
    )
    content_type: str = plain(String(), help="For HTTP replies made from this format.")
    text_format_source: Optional[DataSource] = optional(Nested(DataSource), oneof="format")
    json_format_options: Optional[JsonFormatOptions] = optional(Nested(JsonFormatOptions))
