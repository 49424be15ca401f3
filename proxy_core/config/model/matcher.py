"""envoy.type.matcher.v3 and route.v3.HeaderMatcher: conditions on strings, values, metadata and headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ...re2 import compile_regex
from ..descriptor import Empty, Message, Report, message, optional, plain, repeated
from ..kinds import Bool, Double, String, UInt32
from ..nested import Nested
from .address import CidrRange
from .core import DoubleRange, Int64Range
from .header_value import HeaderText


@message("envoy.type.matcher.v3.RegexMatcher.GoogleRE2")
@dataclass(eq=False, repr=False)
class GoogleRE2(Message):
    """Names the regex engine; the only one there is."""

    max_program_size: Optional[int] = optional(UInt32(), deprecated=True)


@message("envoy.type.matcher.v3.RegexMatcher")
@dataclass(eq=False, repr=False)
class RegexMatcher(Message):
    """A regular expression that must match the whole string."""

    google_re2: Optional[GoogleRE2] = optional(Nested(GoogleRE2), oneof="engine_type", deprecated=True)
    regex: str = plain(String(min_len=1))

    def check(self, report: Report) -> None:
        check_regex(self.regex, report, "regex")


@message("envoy.type.matcher.v3.RegexMatchAndSubstitute")
@dataclass(eq=False, repr=False)
class RegexMatchAndSubstitute(Message):
    """What matches somewhere in a text is replaced, each time."""

    pattern: Optional[RegexMatcher] = optional(Nested(RegexMatcher), required=True)
    substitution: str = plain(HeaderText(), help="\\\\1 stands for the first group, \\\\0 for all of the match.")


@message("envoy.type.matcher.v3.StringMatcher", unsupported=("custom",), required_oneofs=("match_pattern",))
@dataclass(eq=False, repr=False)
class StringMatcher(Message):
    """A condition on a string."""

    exact: Optional[str] = optional(String(), oneof="match_pattern")
    prefix: Optional[str] = optional(String(min_len=1), oneof="match_pattern")
    suffix: Optional[str] = optional(String(min_len=1), oneof="match_pattern")
    safe_regex: Optional[RegexMatcher] = optional(Nested(RegexMatcher), oneof="match_pattern")
    ignore_case: bool = plain(Bool(), help="Not for safe_regex.")
    contains: Optional[str] = optional(String(min_len=1), oneof="match_pattern")


@message("envoy.type.matcher.v3.ListStringMatcher")
@dataclass(eq=False, repr=False)
class ListStringMatcher(Message):
    """Any of several conditions on a string."""

    patterns: List[StringMatcher] = repeated(Nested(StringMatcher), min_items=1)


@message("envoy.type.matcher.v3.DoubleMatcher", required_oneofs=("match_pattern",))
@dataclass(eq=False, repr=False)
class DoubleMatcher(Message):
    """A condition on a number."""

    range: Optional[DoubleRange] = optional(Nested(DoubleRange), oneof="match_pattern")
    exact: Optional[float] = optional(Double(), oneof="match_pattern")


@message("envoy.type.matcher.v3.ListMatcher", required_oneofs=("match_pattern",))
@dataclass(eq=False, repr=False)
class ListMatcher(Message):
    """A condition on a list: one of its values matches."""

    one_of: Optional[ValueMatcher] = optional(Nested.later(lambda: ValueMatcher), oneof="match_pattern")


@message("envoy.type.matcher.v3.OrMatcher")
@dataclass(eq=False, repr=False)
class OrMatcher(Message):
    """Any of several conditions on a value."""

    value_matchers: List[ValueMatcher] = repeated(Nested.later(lambda: ValueMatcher), min_items=2)


@message("envoy.type.matcher.v3.ValueMatcher", required_oneofs=("match_pattern",))
@dataclass(eq=False, repr=False)
class ValueMatcher(Message):
    """A condition on a JSON value."""

    null_match: Optional[Empty] = optional(Nested(Empty), oneof="match_pattern")
    double_match: Optional[DoubleMatcher] = optional(Nested(DoubleMatcher), oneof="match_pattern")
    string_match: Optional[StringMatcher] = optional(Nested(StringMatcher), oneof="match_pattern")
    bool_match: Optional[bool] = optional(Bool(), oneof="match_pattern")
    present_match: Optional[bool] = optional(Bool(), oneof="match_pattern")
    list_match: Optional[ListMatcher] = optional(Nested(ListMatcher), oneof="match_pattern")
    or_match: Optional[OrMatcher] = optional(Nested(OrMatcher), oneof="match_pattern")


@message("envoy.type.matcher.v3.MetadataMatcher.PathSegment", required_oneofs=("segment",))
@dataclass(eq=False, repr=False)
class PathSegment(Message):
    """One step down into a Struct."""

    key: Optional[str] = optional(String(min_len=1), oneof="segment")


@message("envoy.type.matcher.v3.MetadataMatcher")
@dataclass(eq=False, repr=False)
class MetadataMatcher(Message):
    """A condition on a value in the dynamic metadata."""

    filter: str = plain(String(min_len=1), help="The namespace, usually a filter's name.")
    path: List[PathSegment] = repeated(Nested(PathSegment), min_items=1)
    value: Optional[ValueMatcher] = optional(Nested(ValueMatcher), required=True)
    invert: bool = plain(Bool())


@message("envoy.type.matcher.v3.AddressMatcher")
@dataclass(eq=False, repr=False)
class AddressMatcher(Message):
    """A condition on an IP address."""

    ranges: List[CidrRange] = repeated(Nested(CidrRange), help="It is in one of these.")
    invert_match: bool = plain(Bool())


@message("envoy.type.matcher.v3.FilterStateMatcher", required_oneofs=("matcher",))
@dataclass(eq=False, repr=False)
class FilterStateMatcher(Message):
    """A condition on an object that a filter left on the connection."""

    key: str = plain(String(min_len=1), help="The object's name.")
    string_match: Optional[StringMatcher] = optional(Nested(StringMatcher), oneof="matcher")
    address_match: Optional[AddressMatcher] = optional(Nested(AddressMatcher), oneof="matcher")


@message("envoy.type.matcher.v3.PathMatcher", required_oneofs=("rule",))
@dataclass(eq=False, repr=False)
class PathMatcher(Message):
    """A condition on the path of a URL, without query and fragment."""

    path: Optional[StringMatcher] = optional(Nested(StringMatcher), oneof="rule")


@message("envoy.config.route.v3.HeaderMatcher")
@dataclass(eq=False, repr=False)
class HeaderMatcher(Message):
    """A condition on an HTTP header; without a specifier: the header is there."""

    name: str = plain(HeaderText(min_len=1))
    exact_match: Optional[str] = optional(String(), oneof="header_match_specifier", deprecated=True)
    range_match: Optional[Int64Range] = optional(Nested(Int64Range), oneof="header_match_specifier")
    present_match: Optional[bool] = optional(Bool(), oneof="header_match_specifier")
    invert_match: bool = plain(Bool())
    prefix_match: Optional[str] = optional(String(min_len=1), oneof="header_match_specifier", deprecated=True)
    suffix_match: Optional[str] = optional(String(min_len=1), oneof="header_match_specifier", deprecated=True)
    safe_regex_match: Optional[RegexMatcher] = optional(
        Nested(RegexMatcher), oneof="header_match_specifier", deprecated=True
    )
    contains_match: Optional[str] = optional(
        String(min_len=1), oneof="header_match_specifier", deprecated=True
    )
    string_match: Optional[StringMatcher] = optional(Nested(StringMatcher), oneof="header_match_specifier")
    treat_missing_header_as_empty: bool = plain(Bool())


def check_regex(pattern: str, report: Report, field: str) -> None:
    """Report a regular expression that can't be used; see `re2`."""
    try:
        compile_regex(pattern)
    except ValueError as error:
        report(field, f"invalid regular expression: {error}")
