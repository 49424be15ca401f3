"""Simulated time: a reactor that is given this clock believes whatever the test says."""

from __future__ import annotations


class SimulatedClock:
    """Call it for the time in seconds; `advance` moves it. Starts away from 0, so that "never" is not "now"."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass. It never goes back."""
        assert seconds >= 0
        self.now += seconds
