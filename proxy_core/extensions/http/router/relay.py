"""The response's body on its way to the client, and the pause of the upstream while the client reads too slowly."""

from __future__ import annotations

from typing import Union

from ....buffer import Buffer
from ....http.filter_api import DecoderFilterCallbacks
from ....upstream.cluster import Cluster
from .attempt import Attempt
from .tunnel import Tunnel


class Relay:
    """Of one request; a `filter_api.WatermarkCallbacks`. Asks to be told of a slow client only when there is more of the body to
    come: short responses come in one piece."""

    __slots__ = ("_decoder", "_cluster", "_attempt", "_full")

    def __init__(self, decoder: DecoderFilterCallbacks, cluster: Cluster) -> None:
        self._decoder = decoder
        self._cluster = cluster
        self._attempt: Union[Attempt, Tunnel, None] = None  # once we are told of the client
        self._full = 0

    def forward(self, attempt: Union[Attempt, Tunnel], data: Buffer) -> None:
        """Some of the body, and more is to come."""
        self._decoder.encode_data(data, False)
        if self._attempt is None:
            self._attempt = attempt
            self._decoder.add_downstream_watermark_callbacks(self)

    def stop(self) -> None:
        """Nothing more is to come."""
        if self._attempt is not None:
            self._attempt = None
            self._decoder.remove_downstream_watermark_callbacks(self)

    def on_above_write_buffer_high_watermark(self) -> None:
        """The client reads too slowly."""
        self._full += 1
        if self._full == 1 and self._attempt is not None:
            self._cluster.flow.paused.value += 1
            self._attempt.pause()

    def on_below_write_buffer_low_watermark(self) -> None:
        """It has caught up."""
        self._full -= 1
        if not self._full and self._attempt is not None:
            self._cluster.flow.resumed.value += 1
            self._attempt.resume()
