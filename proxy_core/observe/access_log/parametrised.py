"""Operators with parameters or a length: `%START_TIME(%s.%3f)%`, `%ENVIRONMENT(HOME):3%` and their kind.

Each is a function (parameters, length) -> getter that checks its parameters once, when the configuration is
loaded.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..filter_state import FilterStateObject
from ..stream_info import StreamInfo
from . import http_operators as http
from .time_format import DEFAULT_LOCAL, DEFAULT_UTC, TimeFormat
from .values import Getter, JsonString, LogContext, Value, truncate

_NOT_IN_A_NAME = re.compile(rb"[^A-Za-z0-9._-]")
_UNITS = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_METADATA_OWNERS = (
    "DYNAMIC", "CLUSTER", "ROUTE", "UPSTREAM_HOST", "LISTENER", "VIRTUAL_HOST", "LISTENER_FILTER_CHAIN",
)


class Operator(NamedTuple):
    """How an operator is compiled and what it may be given."""

    compile: Callable[[str, Optional[int]], Getter]
    needs_params: bool = False
    takes_length: bool = True


def _start_time(local: bool) -> Operator:
    def compile_(params: str, length: Optional[int]) -> Getter:
        text = TimeFormat(params or (DEFAULT_LOCAL if local else DEFAULT_UTC), local)
        return lambda info, context: text.format(info.start_wall)

    return Operator(compile_, takes_length=False)


def _emit_time(local: bool) -> Operator:
    def compile_(params: str, length: Optional[int]) -> Getter:
        text = TimeFormat(params or (DEFAULT_LOCAL if local else DEFAULT_UTC), local)
        return lambda info, context: text.format(context.wall)

    return Operator(compile_, takes_length=False)


def _environment(params: str, length: Optional[int]) -> Getter:
    value = truncate(os.environ.get(params, "-"), length)
    return lambda info, context: value


def _certificate_time(fact: str, upstream: bool) -> Operator:
    """A validity date of a certificate: epoch seconds in the TLS facts, START_TIME's formats here."""
    def compile_(params: str, length: Optional[int]) -> Getter:
        text = TimeFormat(params or "%Y-%m-%dT%H:%M:%S.000Z")

        def get(info: StreamInfo, context: LogContext) -> Value:
            session = info.tls if not upstream else (info.upstream.tls if info.upstream is not None else None)
            moment = session.get(fact) if session else None
            return None if moment is None else text.format(float(moment))

        return get

    return Operator(compile_, takes_length=False)


def _common_duration(params: str, length: Optional[int]) -> Getter:
    """%COMMON_DURATION(from:to:ms|us|ns)% between two named moments; null if one of them did not happen."""
    parts = params.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(f"Invalid common duration configuration: {params}.")
    unit = parts[2] if len(parts) == 3 else "ms"
    if unit not in _UNITS:
        raise ValueError(f"Invalid common duration precision: {unit}.")
    begin, end = parts[0], parts[1]

    def get(info: StreamInfo, context: LogContext) -> Value:
        first, last = _moment(info, begin), _moment(info, end)
        return None if first is None or last is None else int((last - first) * _UNITS[unit] + 1e-6)

    return get


def _moment(info: StreamInfo, point: str) -> Optional[float]:
    """A named moment in reactor seconds. US_CX_* frame the connecting, not the life of the connection."""
    if point == "DS_CX_BEG":
        return info.start_mono
    if point == "DS_CX_END":
        return info.end_mono
    if point in ("US_CX_BEG", "US_CX_END"):
        upstream = info.upstream
        if upstream is None:
            return None
        return upstream.connect_started_at if point == "US_CX_BEG" else upstream.connected_at
    value = info.http.fact(f"POINT:{point}") if info.http is not None else None
    return None if value is None else float(value)


def _metadata_of(owner: str, params: str, length: Optional[int]) -> Getter:
    """A namespace of metadata ("ns": an object) or a value inside it ("ns:key:key")."""
    keys = params.split(":")

    def get(info: StreamInfo, context: LogContext) -> Value:
        found: Any = info.dynamic_metadata if owner == "DYNAMIC" else info.metadata.get(owner)
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                return None
            found = found[key]
        value: Value = found
        return truncate(value, length)

    return get


def _metadata(params: str, length: Optional[int]) -> Getter:
    owner, _, rest = params.partition(":")
    if owner not in _METADATA_OWNERS:
        raise ValueError(f"{owner} is not supported type of metadata".lstrip())
    return _metadata_of(owner, rest, length)


def _metadata_operator(owner: str) -> Operator:
    return Operator(lambda params, length: _metadata_of(owner, params, length), needs_params=True)


def _filter_state(params: str, length: Optional[int]) -> Getter:
    """%FILTER_STATE(key[:PLAIN|:TYPED|:FIELD:name]):n%: an object that a filter left on the connection."""
    key, _, style = params.partition(":")
    style, _, field = style.partition(":")
    if not key:
        raise ValueError("Invalid filter state configuration, key cannot be empty.")
    if style not in ("", "PLAIN", "TYPED", "FIELD"):
        raise ValueError("Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.")

    def get(info: StreamInfo, context: LogContext) -> Value:
        found = info.filter_state.get(key)
        if isinstance(found, FilterStateObject):
            return _rendered(found, style, field, length)
        if found is not None and style == "FIELD":
            found = found.get(field) if isinstance(found, dict) else getattr(found, field, None)
        if found is None or getattr(type(found), "__repr__") is object.__repr__:  # an object without a text of its own
            return None
        value: Value = str(found)
        if style != "PLAIN" and isinstance(found, (str, int, float, dict, list)):
            value = found
        return truncate(value, length)

    return get


def _rendered(found: FilterStateObject, style: str, field: str, length: Optional[int]) -> Value:
    """An object in one of its forms. Text formats print the typed form as JSON, a string in quotes."""
    if style == "PLAIN":
        return truncate(found.text, length)
    if style == "FIELD":
        return truncate(found.fields.get(field), length)
    if not isinstance(found.typed, str):
        typed: Value = found.typed
        return typed
    quoted = JsonString(found.typed)
    quoted.length = length
    return quoted


def _upstream_filter_state(params: str, length: Optional[int]) -> Getter:
    """%UPSTREAM_FILTER_STATE(...)%: of the connection's objects those that are shared with the upstream."""
    rendered = _filter_state(params, length)
    key = params.partition(":")[0]

    def get(info: StreamInfo, context: LogContext) -> Value:
        shared = info.upstream is not None and getattr(info.filter_state.get(key), "shared", False)
        return rendered(info, context) if shared else None

    return get


def _requested_server_name(params: str, length: Optional[int]) -> Getter:
    """%REQUESTED_SERVER_NAME(SNI_ONLY|SNI_FIRST|HOST_FIRST[:ORIG])%"""
    choice, _, source = params.partition(":")
    if choice not in ("", "SNI_ONLY", "SNI_FIRST", "HOST_FIRST"):
        raise ValueError(
            f"Invalid REQUESTED_SERVER_NAME option: '{choice}', only 'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST' "
            "are allowed"
        )
    original = source.startswith("ORIG")
    host = http.request_header("x-envoy-original-host?:authority" if original else ":authority", None)

    def get(info: StreamInfo, context: LogContext) -> Value:
        sni = _printable_name(info.requested_server_name)
        if choice in ("", "SNI_ONLY"):
            return sni
        name = host(info, context)
        return (sni or name) if choice == "SNI_FIRST" else (name or sni)

    return get


def _printable_name(name: str) -> Optional[str]:
    """A server name comes from the client: what no host name has is shown as "_", behind "invalid:"."""
    clean = _NOT_IN_A_NAME.sub(b"_", name.encode("utf-8", "surrogateescape")).decode("ascii")
    return (clean if clean == name else f"invalid:{clean}") or None


def parametrised_operators() -> Dict[str, Operator]:
    """All operators that take parameters or a length, by name."""
    table: Dict[str, Operator] = {
        "START_TIME": _start_time(local=False),
        "START_TIME_LOCAL": _start_time(local=True),
        "EMIT_TIME": _emit_time(local=False),
        "EMIT_TIME_LOCAL": _emit_time(local=True),
        "ENVIRONMENT": Operator(_environment, needs_params=True),
        "COMMON_DURATION": Operator(_common_duration, needs_params=True, takes_length=False),
        "METADATA": Operator(_metadata),
        "DYNAMIC_METADATA": _metadata_operator("DYNAMIC"),
        "CLUSTER_METADATA": _metadata_operator("CLUSTER"),
        "UPSTREAM_METADATA": _metadata_operator("UPSTREAM_HOST"),
        "FILTER_STATE": Operator(_filter_state),
        "UPSTREAM_FILTER_STATE": Operator(_upstream_filter_state),
        "REQUESTED_SERVER_NAME": Operator(_requested_server_name),
        "PATH": Operator(http.path),
        "QUERY_PARAM": Operator(http.query_param, needs_params=True),
        "QUERY_PARAMS": Operator(http.query_params),
        "GRPC_STATUS": Operator(http.grpc_status),
    }
    headers: List[Any] = [
        (("REQ", "REQUEST_HEADER"), http.request_header),
        (("RESP", "RESPONSE_HEADER"), http.response_header),
        (("TRAILER", "RESPONSE_TRAILER"), http.response_trailer),
    ]
    for names, compile_ in headers:
        for name in names:
            table[name] = Operator(compile_, needs_params=True)
    for side in ("DOWNSTREAM", "UPSTREAM"):
        for fact in ("PEER_CERT_V_START", "PEER_CERT_V_END"):
            table[f"{side}_{fact}"] = _certificate_time(fact.lower(), side == "UPSTREAM")
    return table
