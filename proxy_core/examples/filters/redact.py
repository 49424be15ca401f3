"""An HTTP filter of one's own: puts stars for a word in the bodies of requests. Used by redact.json beside this file."""

from typing import Any, Dict

from proxy_core.buffer import Buffer
from proxy_core.http.filter_api import CONTINUE, FilterStatus, HttpFilter
from proxy_core.http.headers import Headers


class Redact(HttpFilter):
    def __init__(self, config: Dict[str, Any]) -> None:
        self.word = config["word"].encode()
        self.held = b""  # the end of what came, where it may be the beginning of the word

    def decode_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        # Where a piece ends means nothing: the word may come in two of them. As many stars as letters, so that content-length
        # stays right.
        text = (self.held + data.take()).replace(self.word, b"*" * len(self.word))
        kept = 0 if end_stream else self.begun(text)
        self.held = text[len(text) - kept:]
        data.append(text[:len(text) - kept])
        return CONTINUE

    def decode_trailers(self, trailers: Headers) -> FilterStatus:
        # The body has ended without `end_stream`, which the trailers bring.
        self.decoder.add_decoded_data(Buffer(self.held), True)
        return CONTINUE

    def begun(self, text: bytes) -> int:
        """How many letters of the word `text` ends with."""
        sizes = range(min(len(self.word) - 1, len(text)), 0, -1)
        return next((size for size in sizes if text.endswith(self.word[:size])), 0)
