"""The command `new-filter NAME`: a filter of one's own to begin with, and its test, both of which work.

    new-filter redact            redact.py with the class Redact, test_redact.py
    new-filter rate-by-token     rate_by_token.py with the class RateByToken
    new-filter --http redact     the same for a filter of HTTP requests
"""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shlex
from typing import Dict, Sequence

from . import new_filter_template, new_http_filter_template
from .arguments import FAILED, OK, Parser, say_error

PACKAGE = __name__.rpartition(".server.")[0]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def names_of(name: str) -> Dict[str, str]:
    """The module and the class for a name such as "redact", "rate-by-token" or "RateByToken". Raises ValueError with the
    reason why there can be none."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"'{name}': expected letters, digits, - and _, beginning with a letter")
    words = _WORD.findall(name)
    module = "_".join(words).lower()
    if keyword.iskeyword(module):
        raise ValueError(f"'{module}' is a word of Python's own")
    if module == "test" or words[0].lower() == "test":
        raise ValueError(f"'{module}' would be taken for a test")
    return {"module": module, "class_name": "".join(word[0].upper() + word[1:] for word in words)}


def new_filter_command(prog: str, arguments: Sequence[str]) -> int:
    """`new-filter [--http] NAME [--dir D]`."""
    parser = _parser(prog)
    values = parser.parse(arguments)
    try:
        names = names_of(values.name)
    except ValueError as error:
        parser.error(str(error))
    filter_file, test_file = f"{names['module']}.py", f"test_{names['module']}.py"
    filter_path, test_path = os.path.join(values.dir, filter_file), os.path.join(values.dir, test_file)
    for path in (filter_path, test_path):
        if os.path.lexists(path):
            say_error(f"{path} exists already, nothing was written")
            return FAILED
    if importlib.util.find_spec(names["module"]) is not None:
        parser.error(f"there is a module '{names['module']}' already, which Python would import instead: choose another name")
    names.update(
        package=PACKAGE, prog=prog, filter_file=filter_file, test_file=test_file, filter_path=filter_path,
        test_path=test_path, directory=shlex.quote(values.dir),
    )
    template = new_http_filter_template if values.http else new_filter_template
    try:
        os.makedirs(values.dir, exist_ok=True)
        _write(filter_path, template.FILTER.format_map(names))
        _write(test_path, template.TEST.format_map(names))
    except OSError as error:
        say_error(f"can't write {error.filename}: {error.strerror}")
        return FAILED
    print(template.NEXT.format_map(names), end="")
    return OK


def _parser(prog: str) -> Parser:
    parser = Parser(
        f"{prog} new-filter",
        description="Write a filter in Python and its test, to begin with. Nothing is overwritten.",
    )
    parser.add_argument("name", metavar="NAME", help="of the filter: redact, rate-by-token or RateByToken")
    parser.add_argument("--http", action="store_true", help="of HTTP requests (default: a network filter, of bytes)")
    parser.add_argument("--dir", default=".", metavar="D", help="where to (default: here); made if it is not there")
    return parser


def _write(path: str, text: str) -> None:
    """A new file, never over another."""
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
