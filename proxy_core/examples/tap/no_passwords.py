"""Keeps passwords out of a recording: what a client says until its first answer is recorded by its length. Used by tap.json."""

from typing import Any, Dict, Optional


class NoPasswords:
    def __init__(self, config: Dict[str, Any]) -> None:
        self.answered = False

    def __call__(self, direction: str, data: bytes) -> Optional[bytes]:
        self.answered = self.answered or direction == "out"
        return data if self.answered else None
