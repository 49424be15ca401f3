"""A filter of one's own: lets whole lines through only, in upper case. Used by upper_lines.json beside this file."""

from typing import Any, Dict

from proxy_core.buffer import Buffer
from proxy_core.filters.api import STOP_ITERATION, FilterStatus, NetworkFilter
from proxy_core.network.close import NO_FLUSH


class UpperLines(NetworkFilter):
    def __init__(self, config: Dict[str, Any]) -> None:
        self.longest = config.get("longest_line", 65536)
        self.line = b""  # the beginning of one whose end has not come yet

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        # Where a read ends means nothing: a line may come in ten pieces, ten lines in one. So the bytes are taken out of the
        # connection's buffer, kept until they are a line, and injected behind this filter.
        *lines, self.line = (self.line + data.take()).split(b"\n")
        for line in lines:
            self.pass_on(line, b"\n", False)
        if end_stream or len(self.line) > self.longest:
            self.pass_on(self.line, b"", end_stream)
        return STOP_ITERATION

    def pass_on(self, line: bytes, newline: bytes, end_stream: bool) -> None:
        if len(line) > self.longest:
            self.connection.close(NO_FLUSH, "line_too_long")
        self.callbacks.inject_read_data_to_filter_chain(Buffer(line.upper() + newline), end_stream)
