"""Whether bytes are an HTTP/1 request line, one byte after the other, without I/O. http_inspector's parser.

A table of states, so that a line that comes byte by byte is looked at once, and that bytes which can't become a request line are
refused at once; Envoy looks at everything behind the method only when the line is complete. The rules are those of Envoy's HTTP/1
parser (`balsa_parser.cc`): any method of token characters, a target that begins with "/" or "*" or has a scheme (for CONNECT: an
authority), then "HTTP/d.d" or nothing. Words are separated by anything up to the space character.

    METHOD -> GAP -> TARGET ... -> GAP2 -> VERSION ... -> TAIL -> DONE at LF
"""

from __future__ import annotations

from typing import Dict, Final, Iterable, List, Tuple

_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # RFC 9110 section 5.6.2
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = b"0123456789"
_HOST: Final = _LETTERS + _DIGITS + b"!$%&'()*+,-.:;=[]_~"  # "@" has a state of its own: two in a row are refused
_PATH: Final = bytes(range(0x21, 0x7F))
_AFTER_METHOD: Final = b"\t\v\f\r "
_SPACE: Final = bytes(byte for byte in range(0x21) if byte != 0x0A)
_END: Final = b"\n"

_Rule = Tuple[bytes, str]  # these bytes -> that state


def _spell(word: str, prefix: str, then: str) -> Iterable[Tuple[str, List[_Rule]]]:
    """States that read `word`: prefix0, prefix1 ... A "0" in it stands for any digit."""
    for index, letter in enumerate(word):
        following = f"{prefix}{index + 1}" if index + 1 < len(word) else then
        yield f"{prefix}{index}", [(_DIGITS if letter == "0" else letter.encode(), following)]


def _rules() -> Dict[str, List[_Rule]]:
    """All states; a byte that no rule of its state has ends in FAILED. The first rule that has it counts."""
    end_of_target = [(_SPACE, "GAP2"), (_END, "DONE")]
    rules: Dict[str, List[_Rule]] = {
        "METHOD": [(_TOKEN, "METHOD"), (_AFTER_METHOD, "GAP")],
        "GAP": [(_SPACE, "GAP"), (b"/*", "PATH"), (_LETTERS, "SCHEME")],
        "CONNECT": [(_AFTER_METHOD, "CONNECT_GAP"), (_TOKEN, "METHOD")],
        "CONNECT_GAP": [(_SPACE, "CONNECT_GAP"), (b"/*?", "PATH"), (_HOST, "HOST"), (b"@", "HOST_AT")],
        "SCHEME": [(_LETTERS + _DIGITS + b"+-.", "SCHEME"), (b":", "COLON")],
        "COLON": [(b"/", "SLASH")],
        "SLASH": [(b"/", "HOST")],
        "HOST": [(_HOST, "HOST"), (b"@", "HOST_AT"), (b"/?", "PATH"), *end_of_target],
        "HOST_AT": [(_HOST, "HOST"), (b"/?", "PATH"), *end_of_target],
        "PATH": [(_PATH, "PATH"), *end_of_target],
        "GAP2": [(_SPACE, "GAP2"), (_END, "DONE"), (b"H", "VERSION1")],
        "TAIL": [(_SPACE, "TAIL"), (_END, "DONE")],
    }
    rules.update(_spell("HTTP/0.0", "VERSION", "TAIL"))
    for state, spelled in _spell("CONNECT", "START", "CONNECT"):
        rules[state] = [*spelled, *rules["METHOD"]]
    rules["START0"] = [(b"C", "START1"), (_TOKEN, "METHOD")]  # nothing but a method can come first
    return rules


_RULES: Final = _rules()
DONE: Final = len(_RULES)
FAILED: Final = DONE + 1


def _table() -> Tuple[bytes, ...]:
    """For each state the next one by byte."""
    numbers = {name: number for number, name in enumerate(_RULES)}
    numbers["DONE"] = DONE
    rows = []
    for rules in _RULES.values():
        row = bytearray([FAILED]) * 256
        for allowed, following in reversed(rules):
            for byte in allowed:
                row[byte] = numbers[following]
        rows.append(bytes(row))
    return tuple(rows)


_TABLE: Final = _table()
_START: Final = list(_RULES).index("START0")


class RequestLineReader:
    """Follows one line. `state` is `DONE`, `FAILED`, or anything else while the line is not complete."""

    __slots__ = ("state", "position")

    def __init__(self) -> None:
        self.state = _START
        self.position = 0  # how many bytes were looked at; after DONE the length of the line with its LF

    def read(self, data: bytearray, end: int) -> int:
        """Go on to `end`, or to where it is decided; the state there. data: everything from the first byte on."""
        state, position, table = self.state, self.position, _TABLE
        while position < end and state < DONE:
            state = table[state][data[position]]
            position += 1
        self.state, self.position = state, position
        return state


def is_http11(line: bytes) -> bool:
    """Whether a complete request line names HTTP/1.1. As in Envoy the line's end decides, even that of a target."""
    return line.rstrip(bytes(range(0x21))).endswith(b"HTTP/1.1")
