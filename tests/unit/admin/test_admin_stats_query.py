"""Parameters of /stats that are about nothing here, and the answers of Envoy 1.40 to wrong ones."""

from __future__ import annotations

import pytest

from proxy_core.observe.query import StatsQuery
from proxy_core.observe.stats import Counter


@pytest.mark.parametrize("hidden", ["showonly", "bad"])
def test_an_unknown_choice_of_hidden_stats_is_refused_in_envoys_words(hidden: str) -> None:
    with pytest.raises(ValueError) as caught:
        StatsQuery.from_params({"hidden": hidden})
    assert str(caught.value) == "usage: /stats?hidden=(include|only|exclude)\n\n"


def test_no_stat_is_hidden() -> None:
    stats = [Counter("a"), Counter("b")]
    shown = {choice: len(StatsQuery.from_params({"hidden": choice}).select(stats)) for choice in ("", "include", "exclude", "only")}
    assert shown == {"": 2, "include": 2, "exclude": 2, "only": 0}


def test_histogram_buckets_none_shows_quantiles() -> None:
    assert StatsQuery.from_params({"histogram_buckets": "none"}).buckets == "summary"
