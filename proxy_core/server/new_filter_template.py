"""What `new-filter` writes: a filter that works, and the test that shows it. See `new_filter` for the names in braces."""

from __future__ import annotations

FILTER = '''\
"""{class_name}: lets a connection through if it begins with the configured bytes. Change it into what you need.

What a filter is told and may do is in the docstrings of {package}.filters.api.
"""

from typing import Any, Dict

from {package}.buffer import Buffer
from {package}.filters.api import CONTINUE, STOP_ITERATION, FilterStatus, NetworkFilter
from {package}.network.close import NO_FLUSH


class {class_name}(NetworkFilter):
    """There is one for each connection. config: the other keys of its "typed_config"."""

    def __init__(self, config: Dict[str, Any]) -> None:
        self.prefix = str(config["prefix"]).encode()
        self.passed = False

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        """`data` is all that has come and nobody has taken: perhaps half of a message, perhaps ten."""
        if self.passed:
            return CONTINUE
        beginning = data.peek(len(self.prefix))
        if beginning != self.prefix[:len(beginning)] or end_stream and len(beginning) < len(self.prefix):
            self.connection.close(NO_FLUSH, "{module}_refused")
            return STOP_ITERATION
        if len(beginning) < len(self.prefix):
            return STOP_ITERATION  # too few to tell: called again with these bytes and more
        self.passed = True
        return CONTINUE
'''

TEST = '''\
"""{class_name}, tested without a socket. Run it with: python3 -m pytest {test_file}"""

from {module} import {class_name}

from {package}.testing import ChainHarness, assert_split_invariant


def new_filter() -> {class_name}:
    return {class_name}({{"prefix": "HELLO "}})


def test_what_begins_right_passes_however_it_arrives() -> None:
    outcome = assert_split_invariant(new_filter, b"HELLO world")
    assert outcome.onward == b"HELLO world"


def test_what_begins_wrong_is_refused_however_it_arrives() -> None:
    outcome = assert_split_invariant(new_filter, b"HELP")
    assert outcome.onward == b"" and "{module}_refused" in outcome.closed


def test_it_waits_for_enough_bytes() -> None:
    with ChainHarness([new_filter()]) as harness:
        harness.feed(b"HEL")
        assert harness.onward == b"" and not harness.closed
        harness.feed(b"LO ")
        assert harness.onward == b"HELLO "
        harness.end()
        assert harness.onward_ends == 1
'''

NEXT = '''\
wrote {filter_path} and {test_path}

Test it:        cd {directory} && python3 -m pytest {test_file}
Configure it, in front of the last filter of a chain:
    {{"name": "{module}", "typed_config": {{"@type": "python:{module}.{class_name}", "prefix": "HELLO "}}}}
Run it:         {prog} -c config.json --filter-path {directory}
                (a filter beside config.json is found without --filter-path)
Then change {filter_file}; more to start from: {package}/examples/filters/
'''
