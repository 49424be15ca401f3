"""Regular expressions as Envoy has them: RE2's language, and never more than a step per character and state.

Python's `re` speaks nearly the same language, but backtracks: `(a+)+b` takes hours over thirty letters, and `.*a.*b.*c` minutes
over a long path. So an expression is parsed here, and what comes of it depends on what it is:

    parse       RE2's syntax -> tree          refuses what RE2 refuses; and \\pN, \\p{Greek}, which it knows and we don't
    cost        whether backtracking stays proportional to the text
    python      tree -> an expression for `re`                          used where it does: nearly always
    program     tree -> a small program of characters and choices
    automaton   runs it over a text in one pass, remembering what it found (as RE2's DFA): whether it matches
    reach       from where in a text a match can still be reached
    captures    runs it with the places of groups (as RE2's NFA): for substitutions

Text is taken by characters. On the wire a character is a byte (see `http.headers`), which is how Envoy matches since 1.40.
"""

from __future__ import annotations

from .regex import Regex, compile_regex

__all__ = ["Regex", "compile_regex"]
