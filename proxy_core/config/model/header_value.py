"""envoy.config.core.v3, header lines as configuration gives them: to be added to requests and responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from ..context import Wrong
from ..descriptor import Message, Report, message, optional, plain
from ..kinds import Bool, Enum, String
from ..nested import Nested

APPEND_IF_EXISTS_OR_ADD: Final = "APPEND_IF_EXISTS_OR_ADD"
ADD_IF_ABSENT: Final = "ADD_IF_ABSENT"
OVERWRITE_IF_EXISTS_OR_ADD: Final = "OVERWRITE_IF_EXISTS_OR_ADD"
OVERWRITE_IF_EXISTS: Final = "OVERWRITE_IF_EXISTS"
_ACTION = Enum(APPEND_IF_EXISTS_OR_ADD=0, ADD_IF_ABSENT=1, OVERWRITE_IF_EXISTS_OR_ADD=2, OVERWRITE_IF_EXISTS=3)
_MOST_BYTES = 16384
_NO_LINE_BREAKS = "a header line has no line breaks and no NUL"


class HeaderText(String):
    """The name of a header, or text that becomes its value: nothing in it may end the line."""

    def constrain(self, value: str) -> None:
        super().constrain(value)
        if _breaks_lines(value):
            raise Wrong(_NO_LINE_BREAKS)


@message("envoy.config.core.v3.HeaderValue", unsupported=("raw_value",))
@dataclass(eq=False, repr=False)
class HeaderValue(Message):
    """One header line."""

    key: str = plain(String(min_len=1, max_bytes=_MOST_BYTES), help="The header's name.")
    value: str = plain(String(max_bytes=_MOST_BYTES), help="May hold command operators such as %START_TIME%.")

    def check(self, report: Report) -> None:
        for field in ("key", "value"):
            check_header_text(getattr(self, field), report, field)


@message("envoy.config.core.v3.HeaderValueOption")
@dataclass(eq=False, repr=False)
class HeaderValueOption(Message):
    """A header line, and what to do when there is one of its name."""

    header: Optional[HeaderValue] = optional(Nested(HeaderValue), required=True)
    append: Optional[bool] = optional(Bool(), deprecated=True, help="Use append_action.")
    append_action: str = plain(_ACTION, help="Default: one more line.")
    keep_empty_value: bool = plain(Bool(), help="Add the line even if its value is empty.")

    def check(self, report: Report) -> None:
        if self.append is not None and self.append_action != APPEND_IF_EXISTS_OR_ADD:
            report("append", "Both append and append_action are set and it's not allowed", uses=("append_action",))

    @property
    def action(self) -> str:
        """`append_action`, or what the older `append` says."""
        return OVERWRITE_IF_EXISTS_OR_ADD if self.append is False else self.append_action


def check_header_text(text: str, report: Report, field: str) -> None:
    """Report what can't stand in a header line."""
    if _breaks_lines(text):
        report(field, _NO_LINE_BREAKS)


def _breaks_lines(text: str) -> bool:
    return any(character in text for character in "\r\n\0")
