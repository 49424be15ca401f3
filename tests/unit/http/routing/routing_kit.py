"""Route tables and requests for the tests of routing, from JSON and keywords."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple, Type, TypeVar

from proxy_core.config.context import Context
from proxy_core.config.decode import decode_into
from proxy_core.config.descriptor import Message
from proxy_core.config.model.route import FilterConfig, RouteConfiguration
from proxy_core.config.model.route_retry import RETRY_TYPES
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError
from proxy_core.http.events import RequestHead, ResponseHead
from proxy_core.http.headers import Headers
from proxy_core.http.routing.context import TableContext
from proxy_core.http.routing.formatting import Formats
from proxy_core.http.routing.route import PreparedRoute
from proxy_core.http.routing.table import Table, build_table
from proxy_core.http.routing.text import readable
from proxy_core.http.routing.values import request_value
from proxy_core.observe.stats import StatsStore
from proxy_core.observe.stream_info import StreamInfo
from proxy_core.server.runtime import Runtime

Json = Dict[str, Any]
M = TypeVar("M", bound=Message)
Pairs = Sequence[Tuple[str, str]]

TYPES = TypeRegistry([*RETRY_TYPES, FilterConfig])


class Facts:
    """`StreamInfo.http` of a request."""

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.local_reply_body = ""

    def request_header(self, name: str) -> Optional[str]:
        return readable(request_value(self.head, name))

    def response_header(self, name: str) -> Optional[str]:
        return None

    def response_trailer(self, name: str) -> Optional[str]:
        return None

    def fact(self, name: str) -> Any:
        return self.local_reply_body if name == "LOCAL_REPLY_BODY" else None


class Around(TableContext):
    """A context whose clusters all exist but those called "ghost"; `runtime_values` are the runtime."""

    def __init__(self, **runtime_values: Any) -> None:
        runtime = Runtime(None)
        runtime._merged.update(runtime_values)
        self.store = StatsStore(lambda: 0.0)
        super().__init__(Formats(lambda: 100.0), runtime, lambda name: name != "ghost", self.store)


def read(message: Type[M], tree: Json) -> M:
    """A decoded message."""
    context = Context(TYPES)
    found = decode_into(message, tree, "", context)
    if context.problems:
        raise ConfigError(context.problems)
    return found


def table(tree: Json, context: Optional[TableContext] = None, validates: bool = True) -> Table:
    """A prepared table. Raises ConfigError."""
    return build_table(read(RouteConfiguration, {"name": "r", **tree}), context or Around(), "rc", validates)


def of_routes(*routes: Json, context: Optional[TableContext] = None, table_fields: Optional[Json] = None, **host: Any) -> Table:
    """A table with one virtual host for everything."""
    one = {"name": "v", "domains": ["*"], "routes": list(routes), **host}
    return table({"virtual_hosts": [one], **(table_fields or {})}, context)


def says(match: Json, name: str, **fields: Any) -> Json:
    """A route that answers with its name."""
    return {"match": match, "direct_response": {"status": 200, "body": {"inline_string": name}}, **fields}


def forwards(action: Optional[Json] = None, match: Optional[Json] = None, **fields: Any) -> Json:
    """A route to the cluster "c"."""
    return {"match": match or {"prefix": "/"}, "route": {"cluster": "c", **(action or {})}, **fields}


def request(path: str = "/", host: str = "h.test", method: str = "GET", headers: Pairs = ()) -> RequestHead:
    head = RequestHead(method, path, headers=Headers(headers), authority=host, scheme="http")
    head.headers.add("x-forwarded-proto", "http") if "x-forwarded-proto" not in head.headers else None
    return head


def stream(head: RequestHead) -> StreamInfo:
    """What is known of the stream of a request."""
    info = StreamInfo(1, 1000.0, 90.0)
    info.downstream_remote_address = "10.0.0.1:4000"
    info.downstream_local_address = "10.0.0.2:80"
    info.http = Facts(head)
    return info


def route_of(routes: Table, head: RequestHead, random_value: int = 0) -> Optional[PreparedRoute]:
    return routes.route(head, stream(head), random_value)


def answer(routes: Table, path: str = "/", host: str = "h.test", random_value: int = 0, **kwargs: Any) -> Optional[str]:
    """The body of the direct response that a request gets, None without a route."""
    head = request(path, host, **kwargs)
    route = route_of(routes, head, random_value)
    if route is None:
        return None
    assert route.direct_response is not None
    return route.direct_response.body(head, stream(head)).decode()


def finalized(routes: Table, head: RequestHead, random_value: int = 0) -> RequestHead:
    """The head as it goes to the upstream."""
    info = stream(head)
    route = routes.route(head, info, random_value)
    assert route is not None and route.action is not None
    route.finalize_request(head, info)
    return head


def response_headers(routes: Table, head: RequestHead, headers: Pairs = ()) -> List[Tuple[str, str]]:
    """The headers of a response with these."""
    info = stream(head)
    route = routes.route(head, info, 0)
    assert route is not None
    response = ResponseHead(200, headers=Headers(headers))
    route.finalize_response(response, info)
    return list(response.headers.items())


def problems(tree: Json, context: Optional[TableContext] = None, validates: bool = True) -> List[str]:
    """What is wrong with a table."""
    try:
        table(tree, context, validates)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []
