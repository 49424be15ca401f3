"""HTTP filters of one's own, in Python: `"typed_config": {"@type": "python:my_filters.Redact", "word": "secret"}`.

`my_filters` is looked for as for network filters (see `extensions.network.custom`); `Redact` in it is called with the other keys
of `typed_config` as one dict, once per request, and answers with a filter (see `http.filter_api`; inherit `HttpFilter` to write
only what you need). A route may have `typed_per_filter_config` of a "python:" type: the filter gets its keys, as a dict, from
`self.decoder.route_config()`.

An exception in a hook costs its request and nothing else: the client gets 500, or if the response has begun the connection ends;
the traceback is in the log.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final

from ...config.registry import PythonConfig
from ...http.filter_api import STOP_ITERATION, HttpFactoryContext, HttpFilter, HttpFilterFactory
from ...http.registry import HttpExtension

EXCEPTION_DETAILS: Final = "filter_exception"
_ANSWERING: Final = (
    "decode_headers", "decode_data", "decode_trailers", "encode_1xx", "encode_headers", "encode_data", "encode_trailers",
)
_TOLD: Final = ("on_local_reply", "on_stream_complete", "on_destroy")


def build(config: PythonConfig, context: HttpFactoryContext) -> HttpFilterFactory:
    """A factory that calls the user's class for each request."""
    target, settings = config.target, config.config

    def make() -> HttpFilter:
        made: HttpFilter = target(dict(settings))
        for name in _ANSWERING:
            _replace(made, name, _answering)
        for name in _TOLD:
            _replace(made, name, _told)
        return made
    return make


def build_route(config: PythonConfig, context: HttpFactoryContext) -> Dict[str, Any]:
    """The keys of a route's configuration."""
    return dict(config.config)


def _replace(made: HttpFilter, name: str, guard: Callable[[HttpFilter, Any], Any]) -> None:
    """Put a guard around a hook that the filter's class has written; the others stay as cheap as they are."""
    own = getattr(type(made), name, None)
    if own is not None and own is not getattr(HttpFilter, name):
        setattr(made, name, guard(made, getattr(made, name)))


def _answering(made: HttpFilter, hook: Callable[..., Any]) -> Callable[..., Any]:
    """Around a hook that says how it goes on."""
    def call(*arguments: Any) -> Any:
        try:
            return hook(*arguments)
        except Exception as error:
            made.decoder.reactor.report(error)
            made.decoder.send_local_reply(500, b"", EXCEPTION_DETAILS)
            return STOP_ITERATION
    return call


def _told(made: HttpFilter, hook: Callable[..., Any]) -> Callable[..., Any]:
    """Around a hook that is only told something: what others are told after it must not depend on it."""
    def call(*arguments: Any) -> None:
        try:
            hook(*arguments)
        except Exception as error:
            made.decoder.reactor.report(error)
    return call


EXTENSION = HttpExtension(PythonConfig, build, PythonConfig, build_route)
