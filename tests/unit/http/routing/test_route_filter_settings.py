"""What routes say to filters: the most specific level decides, and a configuration of its own switches a filter on."""

from __future__ import annotations

import dataclasses
from typing import Any, List, Optional

import pytest

from proxy_core.config.context import Context
from proxy_core.config.decode import decode_into
from proxy_core.config.descriptor import Message, message, plain
from proxy_core.config.kinds import String
from proxy_core.config.model.route import FilterConfig, RouteConfiguration
from proxy_core.config.registry import TypeRegistry
from proxy_core.errors import ConfigError, Problem
from proxy_core.http.registry import HttpExtension, HttpFilterRegistry
from proxy_core.http.routing.route import PreparedRoute
from proxy_core.http.routing.table import build_table
from tests.unit.http.routing.routing_kit import Around, Json, request, stream

FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
PER_ROUTE = "type.googleapis.com/test.v3.PerRoute"


@message("test.v3.PerRoute")
@dataclasses.dataclass(eq=False, repr=False)
class PerRoute(Message):
    """A filter's configuration for a route."""

    text: str = plain(String())


@message("test.v3.Filter")
@dataclasses.dataclass(eq=False, repr=False)
class Filter(Message):
    """A filter's own configuration."""


def build_route(config: Any, context: Any) -> str:
    if config.text == "bad":
        raise ConfigError([Problem(context, "it is bad")])
    return f"prepared {config.text}"


def never_built(config: Any, context: Any) -> Any:
    raise AssertionError("no filter is built here")


def at_path(path: str) -> Any:
    """In the place of a context: the extension here wants only to know where its configuration stands."""
    return path


REGISTRY = HttpFilterRegistry([HttpExtension(Filter, never_built, PerRoute, build_route)])


def route(table: Json, host: Json, own: Json, weighted: Optional[Json] = None) -> PreparedRoute:
    """The route of a request where the levels say these things of filters. Raises ConfigError."""
    action: Json = {"cluster": "c"}
    if weighted is not None:
        action = {"weighted_clusters": {"clusters": [{"name": "c", "weight": 1, "typed_per_filter_config": weighted}]}}
    routes = [{"match": {"prefix": "/"}, "route": action, "typed_per_filter_config": own}]
    tree = {"typed_per_filter_config": table, "virtual_hosts": [
        {"name": "v", "domains": ["*"], "routes": routes, "typed_per_filter_config": host}]}
    context = Context(TypeRegistry([PerRoute, Filter, FilterConfig]))
    config = decode_into(RouteConfiguration, tree, "", context)
    if context.problems:
        raise ConfigError(context.problems)
    around = Around()
    around.filters = REGISTRY
    around.filter_context = at_path
    found = build_table(config, around, "rc", True).route(request(), stream(request()), 0)
    assert found is not None
    return found


def says(text: str) -> Json:
    return {"f": {"@type": PER_ROUTE, "text": text}}


def switch(**fields: object) -> Json:
    return {"f": {"@type": FILTER_CONFIG, **fields}}


@pytest.mark.parametrize("levels, configs", [
    (({}, {}, {}, None), []),
    ((says("t"), {}, {}, None), ["t"]),
    ((says("t"), says("v"), says("r"), says("w")), ["t", "v", "r", "w"]),
    (({}, says("v"), {}, says("w")), ["v", "w"]),
    ((says("t"), switch(config={"@type": PER_ROUTE, "text": "v"}), {}, None), ["t", "v"]),
])
def test_configurations_are_found_from_the_table_to_the_most_specific_one(levels: Any, configs: List[str]) -> None:
    found = route(*levels)
    assert list(found.filter_configs("f")) == [f"prepared {text}" for text in configs]
    assert found.filter_config("f") == (f"prepared {configs[-1]}" if configs else None)
    assert found.filter_config("other") is None and found.filter_configs("other") == ()


@pytest.mark.parametrize("levels, disabled", [
    (({}, {}, {}), None), ((switch(disabled=True), {}, {}), True), ((switch(disabled=True), {}, says("r")), False),
    ((says("t"), {}, switch(disabled=True)), True), ((switch(disabled=True), switch(config={}), {}), False),
    ((switch(config={}), switch(disabled=True), {}), True),
])
def test_the_most_specific_level_switches_a_filter(levels: Any, disabled: Optional[bool]) -> None:
    assert route(*levels).filter_disabled("f") is disabled


@pytest.mark.parametrize("own, problem", [
    (switch(), "Empty route/virtual host per filter configuration for f filter"),
    ({"f": {"@type": "type.googleapis.com/test.v3.Filter"}},
     "The filter f doesn't support virtual host or route specific configurations ('test.v3.Filter' is no such configuration)"),
    (says("bad"), "it is bad"),
])
def test_what_is_no_configuration_for_a_route_is_refused(own: Json, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        route({}, {}, own)
    assert [str(one) for one in refused.value.problems] == [
        f'rc.virtual_hosts[0].routes[0].typed_per_filter_config["f"]: {problem}'
    ]
