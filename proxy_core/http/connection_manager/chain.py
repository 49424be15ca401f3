"""The HTTP filters of a connection manager, prepared: what a stream needs to get instances of its own.

Place in the data's way: built once per configuration; `install` runs once per stream, when its route is known. Which hooks a
filter overrides is looked up once per class, so that those it does not override are never called.
"""

from __future__ import annotations

from typing import Any, Dict, Final, List, NamedTuple, Optional, Sequence, Set, Tuple, Type

from ..filter_api import HttpFilter, HttpFilterFactory
from ..route_api import Route
from .callbacks import FilterCallbacks
from .iteration import Slot


class Entry(NamedTuple):
    """One configured filter. disabled: off unless a route switches it on. terminal: the last one."""

    name: str
    factory: HttpFilterFactory
    disabled: bool
    terminal: bool


class _Hooks(NamedTuple):
    """Which hooks a class of filters overrides."""

    decode: Tuple[bool, bool, bool]
    encode: Tuple[bool, bool, bool]
    encodes_1xx: bool
    hears_local_reply: bool
    hears_completion: bool

    @classmethod
    def of(cls, kind: Type[Any]) -> _Hooks:
        """kind: a class with the methods of `HttpFilter`, inherited or its own."""
        def own(name: str) -> bool:
            return getattr(kind, name, getattr(HttpFilter, name)) is not getattr(HttpFilter, name)

        return cls(
            (own("decode_headers"), own("decode_data"), own("decode_trailers")),
            (own("encode_headers"), own("encode_data"), own("encode_trailers")),
            own("encode_1xx"), own("on_local_reply"), own("on_stream_complete"),
        )


_SILENT: Final = (False, False, False)


class FilterChain:
    """See the module docstring."""

    __slots__ = ("entries", "_hooks", "_heard")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._hooks: Dict[Type[Any], _Hooks] = {}
        self._heard: Set[str] = set()  # what `listeners` may be asked for, as far as any filter overrides it

    def install(self, stream: Any, route: Optional[Route]) -> None:
        """Give `stream`, a `stream.ActiveStream`, its filters."""
        decode: List[Slot] = []
        encode: List[Tuple[FilterCallbacks, Slot]] = []
        filters: List[HttpFilter] = []
        for entry in self.entries:
            if not entry.terminal and _is_off(entry, route):
                continue
            one = entry.factory()
            hooks = self._hooks.get(type(one)) or self._learn(type(one))
            callbacks = FilterCallbacks(entry.name, stream)
            one.decoder = one.encoder = callbacks
            filters.append(one)
            if hooks.decode is not _SILENT:
                callbacks.decode_at = len(decode)
                decode.append(_decode_slot(one, hooks, entry.name))
            if hooks.encode is not _SILENT:
                encode.append((callbacks, _encode_slot(one, hooks, entry.name)))
        stream.filters = filters
        stream.decode.slots = decode
        if encode:
            encode.reverse()
            for place, (callbacks, _) in enumerate(encode):
                callbacks.encode_at = place
            stream.encode.slots = [slot for _, slot in encode]

    def listeners(self, filters: Sequence[HttpFilter], event: str) -> List[HttpFilter]:
        """Those that override "hears_local_reply", "hears_completion" or "encodes_1xx"."""
        if event not in self._heard:
            return []
        return [one for one in filters if getattr(self._hooks[type(one)], event)]

    def _learn(self, kind: Type[Any]) -> _Hooks:
        """Look at a class of filters, at its first instance."""
        hooks = _Hooks.of(kind)
        if not any(hooks.decode):
            hooks = hooks._replace(decode=_SILENT)
        if not any(hooks.encode):
            hooks = hooks._replace(encode=_SILENT)
        self._heard.update(event for event in ("hears_local_reply", "hears_completion", "encodes_1xx") if getattr(hooks, event))
        self._hooks[kind] = hooks
        return hooks


def _is_off(entry: Entry, route: Optional[Route]) -> bool:
    switched = route.filter_disabled(entry.name) if route is not None else None
    return entry.disabled if switched is None else switched


def _decode_slot(one: HttpFilter, hooks: _Hooks, name: str) -> Slot:
    headers, data, trailers = hooks.decode
    return Slot(
        name, one.decode_headers if headers else None, one.decode_data if data else None,
        one.decode_trailers if trailers else None,
    )


def _encode_slot(one: HttpFilter, hooks: _Hooks, name: str) -> Slot:
    headers, data, trailers = hooks.encode
    return Slot(
        name, one.encode_headers if headers else None, one.encode_data if data else None,
        one.encode_trailers if trailers else None,
    )
