"""What one decoding run carries along: problems, warnings, and the types that `@type` may name.

Decoding never stops at the first mistake. A scalar that can't be read raises `Wrong`, whoever knows the path
turns that into a `Problem` here and goes on with the next field; `decode` raises one `ConfigError` with all
of them.
"""

from __future__ import annotations

import difflib
import json
from typing import Any, Iterable, List, Protocol

from ..errors import Problem

Json = Any  # what json.loads returns: None, bool, int, float, str, list, dict

_FOUND_LIMIT = 60


class Wrong(ValueError):
    """A value that does not fit its field. `hint` says what would probably mend it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class TypeResolver(Protocol):
    """Knows the message classes that an `Any` may hold; see `registry.TypeRegistry`."""

    def decode_any(self, type_url: str, body: Json, path: str, context: Context) -> Any:
        """The decoded content of an `Any`. Raises `Wrong` if the type can't be used."""


class Context:
    """The state of one decoding run. Problems and warnings are in the order of the file."""

    def __init__(self, types: TypeResolver, allow_unknown: bool = False) -> None:
        self.types = types
        self.allow_unknown = allow_unknown
        self.problems: List[Problem] = []
        self.warnings: List[Problem] = []
        self.misspelt: List[str] = []  # paths of the fields that unknown ones were probably meant to be

    def problem(self, path: str, message: str, hint: str = "") -> None:
        """Write down one mistake; decoding goes on."""
        self.problems.append(Problem(path, message, hint))

    def warning(self, path: str, message: str, hint: str = "") -> None:
        """Write down something that works, but probably not as meant."""
        self.warnings.append(Problem(path, message, hint))


def found(value: Json) -> str:
    """The JSON text of what stood there, cut to about 60 characters."""
    if isinstance(value, (dict, list)) and not value:
        return "{}" if isinstance(value, dict) else "[]"
    text = json.dumps(_trimmed(value), ensure_ascii=False)
    return text if len(text) <= _FOUND_LIMIT else text[: _FOUND_LIMIT - 3] + "..."


def _trimmed(value: Json) -> Json:
    """A value whose text begins as the whole one's does, so that a huge value is not printed to be cut."""
    if isinstance(value, str):
        return value[: _FOUND_LIMIT + 1]
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a number of more than 75 digits"
    if isinstance(value, dict):
        return {key[:_FOUND_LIMIT]: _leaf(value[key]) for key in list(value)[:8]}
    if isinstance(value, list):
        return [_leaf(item) for item in value[:30]]
    return value


def _leaf(value: Json) -> Json:
    return _trimmed(value) if not isinstance(value, (dict, list)) else type(value)()


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The candidate most like `name`, or "". A name that one of them begins or ends with counts as like."""
    known = list(candidates)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.65)
    if close:
        return close[0]
    longer = [one for one in known if one.startswith(name + "_") or one.endswith("_" + name)]
    return min(longer, key=len) if longer and len(name) > 2 else ""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """The hint "did you mean `x`?", or "" when nothing is near."""
    close = nearest(name, candidates)
    return f"did you mean `{close}`?" if close else ""


def join(path: str, name: str) -> str:
    """The JSON path of field `name` of the message at `path`."""
    return f"{path}.{name}" if path else name
