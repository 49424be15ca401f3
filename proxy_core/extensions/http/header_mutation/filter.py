"""The filter: first its own changes, then those of the levels of the route. Mirrors `HeaderMutationFilter`."""

from __future__ import annotations

from typing import List, Optional, Sequence

from ....errors import ConfigError, Problem
from ....http.events import RequestHead, ResponseHead
from ....http.filter_api import CONTINUE, FilterStatus, HttpFactoryContext, HttpFilter, HttpFilterFactory, StreamCallbacks
from ....http.headers import Headers
from ....http.routing.header_mutation import prepare_mutations
from .config import HeaderMutationConfig, HeaderMutationPerRoute, Mutations
from .query import prepare_query


class Changes:
    """One `Mutations`, prepared; each is None where nothing is to be changed."""

    __slots__ = ("request", "query", "request_trailers", "response", "response_trailers")

    def __init__(self, config: Mutations, context: HttpFactoryContext) -> None:
        problems: List[Problem] = []
        formats, path = context.formats, f"{context.path}.mutations"
        self.request = prepare_mutations(config.request_mutations, formats, f"{path}.request_mutations", problems)
        self.response = prepare_mutations(
            config.response_mutations, formats, f"{path}.response_mutations", problems, "response"
        )
        self.query = prepare_query(
            config.query_parameter_mutations, formats, f"{path}.query_parameter_mutations", problems
        )
        self.response_trailers = prepare_mutations(
            config.response_trailers_mutations, formats, f"{path}.response_trailers_mutations", problems, "response"
        )
        self.request_trailers = prepare_mutations(
            config.request_trailers_mutations, formats, f"{path}.request_trailers_mutations", problems
        )
        if problems:
            raise ConfigError(problems)


class HeaderMutationFilter(HttpFilter):
    """One request with its response."""

    __slots__ = ("decoder", "encoder", "_own", "_innermost_last", "_changes")

    def __init__(self, own: Changes, innermost_last: bool) -> None:
        self._own = own
        self._innermost_last = innermost_last
        self._changes: Optional[Sequence[Changes]] = None  # until somebody asks

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """Headers, then the query."""
        info = self.decoder.info
        for one in self._all(self.decoder):
            if one.request is not None:
                one.request(head.headers, info)
            if one.query is not None:
                head.path = one.query(head.path, info)
        return CONTINUE

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        """Of the request."""
        for one in self._all(self.decoder):
            if one.request_trailers is not None:
                one.request_trailers(trailers, self.decoder.info)
        return CONTINUE

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """Of the response, whoever made it."""
        for one in self._all(self.encoder):
            if one.response is not None:
                one.response(head.headers, self.encoder.info)
        return CONTINUE

    def encode_trailers(self, trailers: Headers) -> FilterStatus:
        """Of the response."""
        for one in self._all(self.encoder):
            if one.response_trailers is not None:
                one.response_trailers(trailers, self.encoder.info)
        return CONTINUE

    def _all(self, callbacks: StreamCallbacks) -> Sequence[Changes]:
        """The changes of this stream, those of the filter first."""
        if self._changes is None:
            route = callbacks.route
            levels: Sequence[Changes] = () if route is None else route.filter_configs(callbacks.name)
            self._changes = [self._own, *(levels if self._innermost_last else reversed(levels))]
        return self._changes


def build(config: HeaderMutationConfig, context: HttpFactoryContext) -> HttpFilterFactory:
    """Prepare the changes. Raises ConfigError with all that is wrong with them."""
    own = Changes(config.mutations or Mutations(), context)
    innermost_last = config.most_specific_header_mutations_wins
    return lambda: HeaderMutationFilter(own, innermost_last)


def build_route(config: HeaderMutationPerRoute, context: HttpFactoryContext) -> Changes:
    """The changes of one level of a route."""
    return Changes(config.mutations or Mutations(), context)
