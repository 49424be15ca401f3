"""envoy.config.route.v3: what a route answers by itself instead of asking an upstream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Final, Optional

from ..descriptor import Message, message, optional, plain
from ..kinds import Bool, Enum, String, UInt32
from ..nested import Nested
from .core import DataSource, SubstitutionFormatString
from .header_value import HeaderText
from .matcher import RegexMatchAndSubstitute

REDIRECT_CODES: Final[Dict[str, int]] = {
    "MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303, "TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308,
}


@message("envoy.config.route.v3.RedirectAction")
@dataclass(eq=False, repr=False)
class RedirectAction(Message):
    """Send the client elsewhere: what is not given stays as it was."""

    host_redirect: str = plain(HeaderText(), help="The new host.")
    path_redirect: Optional[str] = optional(
        HeaderText(), oneof="path_rewrite_specifier", help="The new path; the query stays unless there is one in here."
    )
    response_code: str = plain(Enum(**{name: number for number, name in enumerate(REDIRECT_CODES)}), help="Default 301.")
    https_redirect: Optional[bool] = optional(Bool(), oneof="scheme_rewrite_specifier")
    prefix_rewrite: Optional[str] = optional(
        HeaderText(), oneof="path_rewrite_specifier", help="Takes the place of what the route matched."
    )
    strip_query: bool = plain(Bool())
    scheme_redirect: Optional[str] = optional(HeaderText(), oneof="scheme_rewrite_specifier")
    port_redirect: int = plain(UInt32())
    regex_rewrite: Optional[RegexMatchAndSubstitute] = optional(
        Nested(RegexMatchAndSubstitute), oneof="path_rewrite_specifier"
    )
    path_rewrite: Optional[str] = optional(
        String(), oneof="path_rewrite_specifier", help="The new path with command operators such as %REQ(x-part)%."
    )


@message("envoy.config.route.v3.DirectResponseAction")
@dataclass(eq=False, repr=False)
class DirectResponseAction(Message):
    """Answer with a fixed status and body."""

    status: int = plain(UInt32(gte=200, lte=599))
    body: Optional[DataSource] = optional(Nested(DataSource))
    body_format: Optional[SubstitutionFormatString] = optional(
        Nested(SubstitutionFormatString), help="%LOCAL_REPLY_BODY% stands for the body."
    )


@message("envoy.config.route.v3.NonForwardingAction")
@dataclass(eq=False, repr=False)
class NonForwardingAction(Message):
    """For routes whose filters answer."""
