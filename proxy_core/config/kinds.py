"""Field kinds: how one JSON value becomes one Python value, and back, by the rules of proto3 JSON.

A kind knows four things about its values: how to read them (`decode`), which are allowed (`constrain`, the
rules of protoc-gen-validate in Envoy's .proto files), how to print them (`dump`) and how JSON Schema says the
same (`schema`). This module has the scalars and the two plain-JSON kinds; messages and `Any` are in
`nested.py`.

Accepted as Envoy accepts it (measured on 1.40): numbers as strings, integral floats for integers,
"true"/"false" for booleans, enums by number, by name in any case, and by number as a string. Not accepted,
though Envoy does: hexadecimal strings, and one value where a list belongs.
Reference: https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Dict, Generic, Optional, Protocol, Sequence, TypeVar

from .context import Context, Json, Wrong, did_you_mean, found

T = TypeVar("T")
Schema = Dict[str, Any]

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_NUMBER_LIMIT = 400  # characters; the longest double printed in full has 309 digits
_MAX_SECONDS = 315_576_000_000  # 10,000 years, the limit of google.protobuf.Duration


class Definitions(Protocol):
    """Where a schema puts its messages, so that each is written once and referred to."""

    def reference(self, message_class: Any) -> Schema:
        """The `$ref` of a message class."""

    def any_reference(self) -> Schema:
        """The `$ref` of "any registered message with its `@type`"."""


class Kind(Generic[T]):
    """One sort of value. Immutable; one instance may serve many fields."""

    noun = "a value"
    is_open_map = False  # a Struct: its keys are data, not fields

    def decode(self, value: Json, path: str, context: Context) -> T:
        """Read a JSON value (never None). Raises `Wrong` when it does not fit."""
        raise Wrong(f"expected {self.noun}, found {found(value)}")

    def constrain(self, value: T) -> None:
        """Raises `Wrong` when a well-typed value is not allowed. An unset field is asked as well."""

    def zero(self) -> T:
        """What an unset field without presence is worth (proto3's default)."""
        raise TypeError(f"{type(self).__name__} has no default value: declare the field with optional()")

    def placeholder(self) -> T:
        """What stands in a list for an element that could not be read."""
        return self.zero()

    def dump(self, value: T) -> Json:
        """The JSON value that decodes to `value`, printed as Envoy's /config_dump prints it."""
        return value

    def schema(self, definitions: Definitions) -> Schema:
        """JSON Schema of what `decode` takes."""
        return {}

    def child(self) -> Any:
        """The message class inside, or None."""
        return None

    def inside(self, value: T) -> Any:
        """The message that `value` is or carries, or None."""
        return None


class String(Kind[str]):
    """A string. `min_len` in characters, `max_bytes` in bytes of UTF-8, `choices` = nothing else."""

    def __init__(
        self, min_len: int = 0, max_bytes: Optional[int] = None, choices: Sequence[str] = ()
    ) -> None:
        self.min_len = min_len
        self.max_bytes = max_bytes
        self.choices = tuple(choices)
        self.noun = "a string" + (f" of at least {min_len} character{'s' * (min_len > 1)}" if min_len else "")
        if choices:
            self.noun = "one of " + ", ".join(choices)

    def decode(self, value: Json, path: str, context: Context) -> str:
        if not isinstance(value, str):
            raise Wrong(f"expected {self.noun}, found {found(value)}")
        return value

    def constrain(self, value: str) -> None:
        if len(value) < self.min_len:
            raise Wrong(f"expected {self.noun}, found {found(value)}")
        if self.max_bytes is not None and len(value.encode()) > self.max_bytes:
            size = len(value.encode())
            raise Wrong(f"expected a string of at most {self.max_bytes} bytes, found {size} bytes")
        if self.choices and value not in self.choices:
            raise Wrong(f"expected {self.noun}, found {found(value)}", did_you_mean(value, self.choices))

    def zero(self) -> str:
        return ""

    def schema(self, definitions: Definitions) -> Schema:
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        return {"type": "string", **({"minLength": self.min_len} if self.min_len else {})}


class Bool(Kind[bool]):
    """true or false."""

    noun = "true or false"

    def decode(self, value: Json, path: str, context: Context) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise Wrong(f"expected {self.noun}, found {found(value)}")

    def zero(self) -> bool:
        return False

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "boolean"}


class Integer(Kind[int]):
    """A whole number from `low` to `high`; `wide` = 64 bits, printed as a string as proto3 JSON does."""

    def __init__(self, low: int, high: int, wide: bool = False) -> None:
        self.low = low
        self.high = high
        self.wide = wide
        self.noun = f"an integer from {low} to {high}"

    def decode(self, value: Json, path: str, context: Context) -> int:
        number = _number(value)
        if number is None or not self.low <= number <= self.high or number != number.to_integral_value():
            # The range is asked first: 1e999999999 must not be written out as an integer.
            raise Wrong(f"expected {self.noun}, found {found(value)}")
        return int(number)

    def constrain(self, value: int) -> None:
        if not self.low <= value <= self.high:
            raise Wrong(f"expected {self.noun}, found {value}")

    def zero(self) -> int:
        return 0

    def dump(self, value: int) -> Json:
        return str(value) if self.wide else value

    def schema(self, definitions: Definitions) -> Schema:
        number = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [number, {"type": "string", "pattern": "^-?[0-9]+$"}]}


class UInt32(Integer):
    """0 to 4294967295, or a part of that (both ends included)."""

    def __init__(self, gte: int = 0, lte: int = 2**32 - 1) -> None:
        super().__init__(gte, lte)


class Int32(Integer):
    """A signed 32-bit number, or a part of that (both ends included)."""

    def __init__(self, gte: int = -(2**31), lte: int = 2**31 - 1) -> None:
        super().__init__(gte, lte)


class UInt64(Integer):
    """0 to 2^64 - 1, or a part of that (both ends included)."""

    def __init__(self, gte: int = 0, lte: int = 2**64 - 1) -> None:
        super().__init__(gte, lte, wide=True)


class Int64(Integer):
    """A signed 64-bit number, or a part of that (both ends included)."""

    def __init__(self, gte: int = -(2**63), lte: int = 2**63 - 1) -> None:
        super().__init__(gte, lte, wide=True)


class Double(Kind[float]):
    """A finite number; `gte` and `lte` are included, None = no limit."""

    def __init__(self, gte: Optional[float] = None, lte: Optional[float] = None) -> None:
        self.gte = gte
        self.lte = lte
        limits = [(gte, "at least"), (lte, "at most")]
        words = " and ".join(f"{word} {limit:g}" for limit, word in limits if limit is not None)
        self.noun = "a number" + (f" of {words}" if words else "")

    def decode(self, value: Json, path: str, context: Context) -> float:
        number = _number(value)
        result = float(number) if number is not None else math.inf
        if math.isinf(result):
            raise Wrong(f"expected {self.noun}, found {found(value)}")
        return result

    def constrain(self, value: float) -> None:
        if (self.gte is not None and value < self.gte) or (self.lte is not None and value > self.lte):
            raise Wrong(f"expected {self.noun}, found {value:g}")

    def zero(self) -> float:
        return 0.0

    def dump(self, value: float) -> Json:
        return int(value) if value.is_integer() and abs(value) < 2**53 else value

    def schema(self, definitions: Definitions) -> Schema:
        number: Schema = {"type": "number"}
        number.update({"minimum": self.gte} if self.gte is not None else {})
        number.update({"maximum": self.lte} if self.lte is not None else {})
        return {"anyOf": [number, {"type": "string", "pattern": _NUMBER.pattern.replace("\\Z", "$")}]}


class Duration(Kind[float]):
    """A length of time: "1.5s" in JSON, float seconds in Python, never negative. Limits in seconds."""

    _FORM = re.compile(r"(-?)([0-9]+)(?:\.([0-9]{1,9}))?s\Z")

    def __init__(
        self, gt: Optional[float] = None, gte: Optional[float] = None, lt: Optional[float] = None
    ) -> None:
        self.gt = gt
        self.gte = gte
        self.lt = lt
        limits = [(gt, "more than"), (gte, "at least"), (lt, "less than")]
        words = " and ".join(f"{word} {seconds_text(limit)}" for limit, word in limits if limit is not None)
        self.noun = 'a duration such as "1.5s"' + (f", {words}" if words else "")

    def decode(self, value: Json, path: str, context: Context) -> float:
        match = self._FORM.match(value) if isinstance(value, str) else None
        if match is None or len(match.group(2)) > 12 or int(match.group(2)) > _MAX_SECONDS:
            raise Wrong(f"expected {self.noun}, found {found(value)}", self._hint(value))
        if match.group(1) and float(value[:-1]):
            raise Wrong(f"Invalid duration: Expected positive duration, found {found(value)}")
        return abs(float(value[:-1]))

    @staticmethod
    def _hint(value: Json) -> str:
        text = str(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else ""
        if len(text) <= 20 and re.match(r"[0-9]+(\.[0-9]{1,9})?\Z", text):
            return f'duration must end with a single \'s\': write "{text}s"'
        units = {"ms": 1e-3, "us": 1e-6, "m": 60, "min": 60, "h": 3600}
        match = re.match(r"([0-9]{1,6})(ms|us|m|min|h)\Z", text)
        if match:
            return f'write "{seconds_text(int(match.group(1)) * units[match.group(2)])}"'
        return ""

    def constrain(self, value: float) -> None:
        low = self.gt is not None and value <= self.gt or self.gte is not None and value < self.gte
        if low or (self.lt is not None and value >= self.lt):
            raise Wrong(f"expected {self.noun}, found {seconds_text(value)}")

    def placeholder(self) -> float:
        return 0.0

    def dump(self, value: float) -> Json:
        return seconds_text(value)

    def schema(self, definitions: Definitions) -> Schema:
        pattern = r"^[0-9]+(\.[0-9]{1,9})?s$"
        return {"type": "string", "pattern": pattern, "description": f"Expected: {self.noun}."}


class Enum(Kind[str]):
    """One of a few names, kept as the name. `Enum(STATIC=0, EDS=3)`: the names with Envoy's numbers."""

    def __init__(self, **numbers: int) -> None:
        self.numbers = numbers
        self.names = {number: name for name, number in numbers.items()}
        self.by_upper = {name.upper(): name for name in numbers}
        self.noun = "one of " + ", ".join(numbers)

    def decode(self, value: Json, path: str, context: Context) -> str:
        if isinstance(value, str) and value.upper() in self.by_upper:
            return self.by_upper[value.upper()]
        number = _number(value)
        name = self.names.get(int(number)) if number is not None and abs(number) < 2**31 else None
        if name is None or number != self.numbers[name]:
            hint = did_you_mean(value.upper(), self.numbers) if isinstance(value, str) else ""
            raise Wrong(f"expected {self.noun}, found {found(value)}", hint)
        return name

    def zero(self) -> str:
        return self.names[0]

    def schema(self, definitions: Definitions) -> Schema:
        return {"enum": [*self.numbers, *self.names]}


class Bytes(Kind[bytes]):
    """Bytes, in JSON as base64 text (both alphabets, padding optional)."""

    noun = "bytes as base64 text"

    def decode(self, value: Json, path: str, context: Context) -> bytes:
        if not isinstance(value, str):
            raise Wrong(f"expected {self.noun}, found {found(value)}")
        text = value.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise Wrong(f"expected {self.noun}, found {found(value)}") from None

    def zero(self) -> bytes:
        return b""

    def dump(self, value: bytes) -> Json:
        return base64.b64encode(value).decode("ascii")

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "string", "contentEncoding": "base64"}


class Struct(Kind[Dict[str, Any]]):
    """google.protobuf.Struct: any JSON object, kept as it is."""

    noun = "an object"
    is_open_map = True

    def decode(self, value: Json, path: str, context: Context) -> Dict[str, Any]:
        if not isinstance(value, dict):
            raise Wrong(f"expected {self.noun}, found {found(value)}")
        return value

    def placeholder(self) -> Dict[str, Any]:
        return {}

    def schema(self, definitions: Definitions) -> Schema:
        return {"type": "object"}


class Value(Kind[Any]):
    """google.protobuf.Value: any JSON value, kept as it is."""

    def decode(self, value: Json, path: str, context: Context) -> Any:
        return value

    def placeholder(self) -> Any:
        return None


def _number(value: Json) -> Optional[Decimal]:
    """The exact number that a JSON number or a string holding one stands for; None when it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(value) if math.isfinite(value) else None
    if isinstance(value, str) and len(value) <= _NUMBER_LIMIT and _NUMBER.match(value):
        try:
            return Decimal(value)
        except InvalidOperation:  # an exponent of more than 18 digits
            return None
    return None


def seconds_text(seconds: float) -> str:
    """Seconds as proto3 JSON prints a duration: "5s", "0.250s", "1.000001s" (0, 3, 6 or 9 decimals)."""
    nanos = int((Decimal(repr(seconds)) * 1_000_000_000).to_integral_value())
    whole, rest = divmod(nanos, 1_000_000_000)
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{whole}.{digits}s" if digits else f"{whole}s"
