"""A DiscoveryResponse becomes resources. Each is decoded by itself, so that one with a mistake spoils only
itself.

    {"version_info": "7", "resources": [{"@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
    ...}]}

A resource may be wrapped in an `envoy.service.discovery.v3.Resource`. Unknown fields are warnings, as in
Envoy's dynamic configuration. What is no DiscoveryResponse at all is a failure to get an update; a response
with resources of another kind is an update that is rejected as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Final, Generic, List, Optional, Tuple, Type, TypeVar

from ..config.context import Context, TypeResolver, found
from ..config.decode import decode_into
from ..config.descriptor import Message, message, optional, plain, repeated
from ..config.json_text import parse_object
from ..config.kinds import Bool, String, Struct
from ..config.nested import TYPE_KEY
from ..errors import ConfigError, Problem

M = TypeVar("M", bound=Message)

WRAPPER: Final = "envoy.service.discovery.v3.Resource"


class Rejected(Exception):
    """The update was understood but can't be used, or not all of it; the text says why. The rest is in
    force."""


@message("envoy.service.discovery.v3.DiscoveryResponse", unsupported=("resource_errors",))
@dataclass(eq=False, repr=False)
class DiscoveryResponse(Message):
    """What a file, or a management server, says of one kind of resource."""

    version_info: str = plain(String())
    resources: List[Dict[str, Any]] = repeated(Struct())
    canary: bool = plain(Bool(), help="Of no effect.")
    type_url: str = plain(String(), help="Of no effect: each resource names its type.")
    nonce: str = plain(String(), help="Of no effect in a file.")
    control_plane: Optional[Dict[str, Any]] = optional(Struct(), help="Of no effect in a file.")


@dataclass
class Resource(Generic[M]):
    """One resource. path: where it stands ("resources[2]"); raw: its JSON; problems: why `config` can't be
    used."""

    path: str
    raw: Dict[str, Any]
    config: M
    problems: List[Problem]


@dataclass
class Response(Generic[M]):
    """A decoded response. warnings: what was ignored in it."""

    version_info: str
    resources: List[Resource[M]]
    warnings: List[Problem]


def decode_response(data: bytes, source: str, message_class: Type[M], types: TypeResolver) -> Response[M]:
    """Decode the bytes of a file.

    source: names it in errors. message_class: the kind of resource that is asked for. Raises ConfigError if
    this is no DiscoveryResponse, Rejected if it has resources of another type.
    """
    context = Context(types, allow_unknown=True)
    answer = decode_envelope(parse_object(data, source), context)
    resources = []
    for index, one in enumerate(answer.resources):
        raw, body, path = unpack(one, f"resources[{index}]", message_class)
        inner = Context(types, allow_unknown=True)
        config = decode_into(message_class, body, path, inner)
        context.warnings.extend(inner.warnings)
        resources.append(Resource(path, raw, config, inner.problems))
    return Response(answer.version_info, resources, context.warnings)


def decode_envelope(tree: Dict[str, Any], context: Context) -> DiscoveryResponse:
    """The response without looking into its resources. Raises ConfigError."""
    answer = decode_into(DiscoveryResponse, tree, "", context)
    if context.problems:
        raise ConfigError(context.problems)
    return answer


def unpack(
    raw: Dict[str, Any], path: str, message_class: Type[M]
) -> Tuple[Dict[str, Any], Dict[str, Any], str]:
    """(resource, the same without its type, path of it), taken out of its wrapper if it has one.

    Raises ConfigError, Rejected.
    """
    type_name, body = _typed(raw, path)
    if type_name == WRAPPER:
        path = f"{path}.resource"
        inner = body.get("resource")
        if not isinstance(inner, dict):
            raise ConfigError([Problem(path, f"expected an object with `{TYPE_KEY}`, found {found(inner)}")])
        raw = inner
        type_name, body = _typed(raw, path)
    wanted = message_class.DESCRIPTOR.full_name
    if type_name != wanted:
        raise Rejected(f"{path}: unable to unpack as {wanted}: it is a {type_name}")
    return raw, body, path


def _typed(raw: Dict[str, Any], path: str) -> Tuple[str, Dict[str, Any]]:
    type_url = raw.get(TYPE_KEY)
    if not isinstance(type_url, str) or "/" not in type_url:
        raise ConfigError([Problem(f"{path}.{TYPE_KEY}", f"expected a type URL, found {found(type_url)}")])
    return type_url.rpartition("/")[2], {key: value for key, value in raw.items() if key != TYPE_KEY}
