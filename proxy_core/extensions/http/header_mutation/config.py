"""The messages of header_mutation."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, List, Optional

from ....config.fields import (
    Bool, Enum, Message, Nested, Report, String, Value, message, optional, plain, repeated,
)
from ....config.model.header_mutation import HeaderMutation

_CORE: Final = "envoy.config.core.v3."
_PACKAGE: Final = "envoy.extensions.filters.http.header_mutation.v3."
MOST_KEY_BYTES: Final = 16384
_ACTION: Final = Enum(APPEND_IF_EXISTS_OR_ADD=0, ADD_IF_ABSENT=1, OVERWRITE_IF_EXISTS_OR_ADD=2, OVERWRITE_IF_EXISTS=3)


@message(_CORE + "KeyValuePair")
@dataclasses.dataclass(eq=False, repr=False)
class KeyValuePair(Message):
    """One parameter."""

    key: str = plain(String(min_len=1, max_bytes=MOST_KEY_BYTES))
    value: Optional[Any] = optional(Value(), help="A string; may hold command operators such as %REQ(x)%.")

    def check(self, report: Report) -> None:
        """Envoy's rule."""
        if not isinstance(self.value, str):
            report("value", "Only string value is allowed for record value.")


@message(_CORE + "KeyValueAppend", unsupported=("entry",))
@dataclasses.dataclass(eq=False, repr=False)
class KeyValueAppend(Message):
    """A parameter, and what to do when there is one of its name."""

    action: str = plain(_ACTION, help="Default: one more.")
    record: Optional[KeyValuePair] = optional(Nested(KeyValuePair))

    def check(self, report: Report) -> None:
        """Envoy's rule."""
        if self.record is None:
            report("record", "No record specified for append mutation.")


@message(_CORE + "KeyValueMutation")
@dataclasses.dataclass(eq=False, repr=False)
class KeyValueMutation(Message):
    """One change."""

    append: Optional[KeyValueAppend] = optional(Nested(KeyValueAppend))
    remove: str = plain(String(max_bytes=MOST_KEY_BYTES), help="The name of a parameter.")

    def check(self, report: Report) -> None:
        """Envoy's rule: one of them."""
        if self.append is not None and self.remove:
            report("", "Only one of 'append'/'remove can be specified.", uses=("append", "remove"))
        elif self.append is None and not self.remove:
            report("", "One of 'append'/'remove' must be specified.", uses=("append", "remove"))


@message(_PACKAGE + "Mutations", unsupported=("formatters",))
@dataclasses.dataclass(eq=False, repr=False)
class Mutations(Message):
    """What is changed, in this order inside each list."""

    request_mutations: List[HeaderMutation] = repeated(Nested(HeaderMutation))
    response_mutations: List[HeaderMutation] = repeated(Nested(HeaderMutation))
    query_parameter_mutations: List[KeyValueMutation] = repeated(Nested(KeyValueMutation))
    response_trailers_mutations: List[HeaderMutation] = repeated(Nested(HeaderMutation))
    request_trailers_mutations: List[HeaderMutation] = repeated(Nested(HeaderMutation))


@message(_PACKAGE + "HeaderMutationPerRoute")
@dataclasses.dataclass(eq=False, repr=False)
class HeaderMutationPerRoute(Message):
    """What is changed besides on a route, virtual host or route table."""

    mutations: Optional[Mutations] = optional(Nested(Mutations))


@message(_PACKAGE + "HeaderMutation")
@dataclasses.dataclass(eq=False, repr=False)
class HeaderMutationConfig(Message):
    """Changes headers, trailers and the query."""

    mutations: Optional[Mutations] = optional(Nested(Mutations))
    most_specific_header_mutations_wins: bool = plain(
        Bool(), help="Of the levels of a route the innermost comes last. Default: it comes first."
    )
