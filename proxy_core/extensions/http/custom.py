"""HTTP filters of one's own, in Python: `"typed_config": {"@type": "python:my_filters.Redact", "word": "secret"}`.

`my_filters` is looked for as for network filters (see `extensions.network.custom`); `Redact` in it is called with the other keys
of `typed_config` as one dict, once per request, and answers with a filter (see `http.filter_api`; inherit `HttpFilter` to write
only what you need). A route may have `typed_per_filter_config` of a "python:" type: the filter gets its keys, as a dict, from
`self.decoder.route_config()`.

An exception in a hook costs its request and nothing else: the client gets 500, or if the response has begun the connection ends;
the traceback is in the log.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Type

from ...config.registry import PythonConfig
from ...http.filter_api import STOP_ITERATION, STOP_NO_BUFFER, HttpFactoryContext, HttpFilter, HttpFilterFactory
from ...http.registry import HttpExtension

EXCEPTION_DETAILS: Final = "filter_exception"
# Hooks that say how it goes on, and what is answered for one that raised.
_ANSWERING: Final = {
    "decode_headers": STOP_ITERATION, "decode_data": STOP_NO_BUFFER, "decode_trailers": STOP_ITERATION,
    "encode_1xx": STOP_ITERATION, "encode_headers": STOP_ITERATION, "encode_data": STOP_NO_BUFFER,
    "encode_trailers": STOP_ITERATION,
}
_TOLD: Final = ("on_local_reply", "on_stream_complete", "on_destroy")


def build(config: PythonConfig, context: HttpFactoryContext) -> HttpFilterFactory:
    """A factory that calls the user's class for each request."""
    target, settings = config.target, config.config
    guarded: Dict[Type[Any], Type[Any]] = {}

    def make() -> HttpFilter:
        made: HttpFilter = target(dict(settings))
        kind = type(made)
        if kind not in guarded:
            safe = guarded[kind] = _guarded(kind)
            guarded[safe] = safe  # of a filter that serves more than one request
        made.__class__ = guarded[kind]
        return made
    return make


def build_route(config: PythonConfig, context: HttpFactoryContext) -> Dict[str, Any]:
    """The keys of a route's configuration."""
    return dict(config.config)


def _guarded(kind: Type[Any]) -> Type[Any]:
    """The user's class, with something around each hook that it has written; the others stay as cheap as they are. A class, since
    wrapped hooks in a filter itself would be a cycle of references per request."""
    guards: Dict[str, Any] = {"__slots__": (), "__module__": kind.__module__, "__doc__": kind.__doc__}
    for name in (*_ANSWERING, *_TOLD):
        own = getattr(kind, name, None)
        if own is not None and own is not getattr(HttpFilter, name):
            guards[name] = _guard(name, own)
    return type(kind.__name__, (kind,), guards)


def _guard(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    """Around one hook. One that is only told something costs nobody else anything: the client's answer stays what it was."""
    stop = _ANSWERING.get(name)

    def call(made: HttpFilter, *arguments: Any) -> Any:
        try:
            return hook(made, *arguments)
        except Exception as error:
            made.decoder.reactor.report(error)
            if stop is not None:
                made.decoder.send_local_reply(500, b"", EXCEPTION_DETAILS)
            return stop
    return call


EXTENSION = HttpExtension(PythonConfig, build, PythonConfig, build_route)
