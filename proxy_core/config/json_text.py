"""Bytes of a configuration file become JSON, strictly: what the rest of the way may take for granted is
proven here.

Afterwards every object has each key once, every number is finite, every string is valid Unicode, and nothing
is nested deeper than protobuf's limit, so that the recursive code behind can't run out of stack. Envoy's
parser also takes trailing commas and single quotes; this one is JSON as in RFC 8259 (a leading byte order
mark is skipped).
"""

from __future__ import annotations

import json
import math
from typing import Any, Dict, List, Tuple, Union

from ..errors import ConfigError, Problem
from .context import Json, found

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 100  # as protobuf's JSON parser

_Crumbs = List[Union[str, int]]


class _Repeats(Dict[str, Any]):
    """An object with keys given more than once. The parser's hook sees no position: the walk reports it."""

    names: Tuple[str, ...] = ()


def parse(data: Union[bytes, str], source: str) -> Json:
    """The JSON value in `data`. `source` names it in errors (a path, or "--config-yaml").

    Raises `ConfigError`: with line and column for broken JSON, with the JSON path for what is valid but not
    allowed.
    """
    value = _loads(_text(data, source), source)
    problems: List[Problem] = []
    _inspect(value, [], problems)
    if problems:
        raise ConfigError(problems)
    return value


def parse_object(data: Union[bytes, str], source: str) -> Dict[str, Any]:
    """As `parse`, for a text that must be one object."""
    value = parse(data, source)
    if not isinstance(value, dict):
        raise ConfigError([Problem("", f"{source}: expected an object, found {found(value)}")])
    return value


def _text(data: Union[bytes, str], source: str) -> str:
    if len(data) > MAX_BYTES:
        raise _refused(source, f"{len(data)} bytes are more than the limit of {MAX_BYTES} (64 MiB)")
    if isinstance(data, str):
        text = data
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
            hint = "save the file as UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
            text = f"not valid UTF-8 at line {line}, byte {column}: {error.reason}"
            raise _refused(source, text, hint) from None
    text = text[1:] if text.startswith("\ufeff") else text
    if not text.strip():
        raise _refused(source, "the configuration is empty", "the smallest one is {}")
    return text


def _loads(text: str, source: str) -> Json:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _refused(source, f"not JSON at {where}: {error.msg}", _hint(error, source)) from None
    except RecursionError:
        raise _refused(source, f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:  # newer Pythons refuse to read integers of thousands of digits
        raise _refused(source, "a number has too many digits") from None


def _hint(error: json.JSONDecodeError, source: str) -> str:
    """A guess at what the text is instead, by its name or by what stands at the place of the error."""
    if source.endswith((".yaml", ".yml")):
        return "YAML is not supported: convert the file to JSON"
    if source == "--config-yaml":
        return "this build reads only JSON there, no other YAML"
    if source.endswith((".pb", ".pb_text")):
        return "only JSON is supported"
    rest = error.doc[error.pos:error.pos + 2]
    if rest in ("//", "/*") or rest.startswith("#"):
        return "JSON has no comments"
    if rest[:1] in ("}", "]"):
        return "a comma too many?"
    return "JSON takes double quotes only" if rest.startswith("'") else ""


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    repeats = _Repeats(result)
    seen: Dict[str, int] = {}
    for key, _ in pairs:
        seen[key] = seen.get(key, 0) + 1
    repeats.names = tuple(key for key, count in seen.items() if count > 1)
    return repeats


def _inspect(value: Json, crumbs: _Crumbs, problems: List[Problem]) -> None:
    """Look at every value once; `crumbs` is the way to it, written out only for a problem."""
    if isinstance(value, (dict, list)) and len(crumbs) >= MAX_DEPTH:
        problems.append(Problem(_path(crumbs[:4]) + "...", f"nested deeper than {MAX_DEPTH} levels"))
    elif isinstance(value, dict):
        _inspect_object(value, crumbs, problems)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            crumbs.append(index)
            _inspect(item, crumbs, problems)
            crumbs.pop()
    elif isinstance(value, float) and not math.isfinite(value):
        text = "expected a finite number, found one that is not (NaN, Infinity, or too large)"
        problems.append(Problem(_path(crumbs), text))
    elif isinstance(value, str) and not _is_unicode(value):
        problems.append(Problem(_path(crumbs), "the string has half of a surrogate pair: not valid Unicode"))


def _inspect_object(value: Dict[str, Any], crumbs: _Crumbs, problems: List[Problem]) -> None:
    if isinstance(value, _Repeats):
        for name in value.names:
            problems.append(Problem(_path([*crumbs, name]), f"the key {found(name)} is given more than once"))
    for key, item in value.items():
        crumbs.append(key)
        if not _is_unicode(key):
            shown = key.encode("utf-8", "backslashreplace").decode()
            crumbs[-1] = shown
            problems.append(Problem(_path(crumbs), "the key has half of a surrogate pair: not valid Unicode"))
        _inspect(item, crumbs, problems)
        crumbs.pop()


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _path(crumbs: _Crumbs) -> str:
    path = ""
    for crumb in crumbs:
        if isinstance(crumb, int):
            path += f"[{crumb}]"
        elif crumb.replace("_", "a").replace("@", "a").replace("$", "a").isalnum():
            path += f".{crumb}" if path else crumb
        else:
            path += f'["{crumb}"]'
    return path


def _refused(source: str, text: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem("", f"{source}: {text}", hint)])
