"""The response's body on its way to the client, and the pause of the upstream while the client reads too slowly."""

from __future__ import annotations

from typing import Union

from ....buffer import Buffer
from ....http.filter_api import DecoderFilterCallbacks
from ....upstream.cluster import Cluster
from .attempt import Attempt
from .tunnel import Tunnel


class Relay:
    """Of one response of which more is to come; a `filter_api.WatermarkCallbacks`."""

    __slots__ = ("_decoder", "_cluster", "_attempt", "_full")

    def __init__(self, decoder: DecoderFilterCallbacks, cluster: Cluster, attempt: Union[Attempt, Tunnel]) -> None:
        self._decoder = decoder
        self._cluster = cluster
        self._attempt = attempt
        self._full = 0
        decoder.add_downstream_watermark_callbacks(self)

    def forward(self, data: Buffer) -> None:
        """Some of the body, which is not the end."""
        self._decoder.encode_data(data, False)

    def stop(self) -> None:
        """Nothing more is to come."""
        self._decoder.remove_downstream_watermark_callbacks(self)

    def on_above_write_buffer_high_watermark(self) -> None:
        """The client reads too slowly."""
        self._full += 1
        if self._full == 1:
            self._cluster.flow.paused.value += 1
            self._attempt.pause()

    def on_below_write_buffer_low_watermark(self) -> None:
        """It has caught up."""
        self._full -= 1
        if not self._full:
            self._cluster.flow.resumed.value += 1
            self._attempt.resume()
