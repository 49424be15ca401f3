"""envoy.config.common.mutation_rules.v3: changes to headers, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..descriptor import Message, message, optional
from ..nested import Nested
from .header_value import HeaderText, HeaderValueOption
from .matcher import StringMatcher


@message("envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch")
@dataclass(eq=False, repr=False)
class RemoveOnMatch(Message):
    """Take out the headers whose names match."""

    key_matcher: Optional[StringMatcher] = optional(Nested(StringMatcher), required=True)


@message("envoy.config.common.mutation_rules.v3.HeaderMutation", required_oneofs=("action",))
@dataclass(eq=False, repr=False)
class HeaderMutation(Message):
    """One change."""

    remove: Optional[str] = optional(HeaderText(), oneof="action", help="The name of a header.")
    append: Optional[HeaderValueOption] = optional(Nested(HeaderValueOption), oneof="action")
    remove_on_match: Optional[RemoveOnMatch] = optional(Nested(RemoveOnMatch), oneof="action")
