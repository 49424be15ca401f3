"""The arithmetic of perf.compare: ratios are taken within a round, so that a slow minute cancels out."""

from __future__ import annotations

import sys

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("perf.compare reads /proc", allow_module_level=True)

from perf.compare import engines, process, report, works


def turn(number: int, engine: str, value: float, work: str = "rr") -> report.Turn:
    return report.Turn(number, work, engine, works.Sample(value))


def test_the_ratio_is_the_median_of_the_ratios_within_each_round_not_of_the_medians() -> None:
    turns = [turn(0, "base", 10), turn(0, "mine", 5), turn(1, "base", 40), turn(1, "mine", 20)]
    turns += [turn(2, "base", 20), turn(2, "mine", 30)]
    rows = {row.engine: row for row in report.summarise(turns, "base")}
    assert rows["mine"].ratio == 0.5
    assert (rows["mine"].median.value, rows["mine"].lowest, rows["mine"].highest) == (20, 5, 30)
    assert rows["base"].ratio == 1.0


def test_an_engine_without_a_base_in_the_same_round_has_no_ratio_and_the_table_says_so() -> None:
    rows = report.summarise([turn(0, "mine", 5)], "base")
    assert rows[0].ratio is None
    assert "mine" in report.table(rows, "base") and " - " in report.table(rows, "base")


def test_growth_names_engines_that_did_both_works_only() -> None:
    turns = [turn(0, "one", 10), turn(0, "one", 13, "scale"), turn(0, "two", 10)]
    assert report.growth(report.summarise(turns, "one")) == "\ngrowth from rr to scale: one 1.30"


def test_the_split_of_cpu_time_is_scaled_to_the_exact_total() -> None:
    used = process.Cpu(3.0, 1.0, 1.0).since(process.Cpu(1.0, 0.75, 0.0))
    assert (used.total, used.user, used.system) == (2.0, 0.4, 1.6)
    assert process.Cpu(1.5, 0.0, 0.0).since(process.Cpu(1.0, 0.0, 0.0)) == (0.5, 0.0, 0.0)


def test_an_unknown_engine_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no engine 'squid'; there are proxy_core, envoy"):
        engines.find(["squid"])
    with pytest.raises(ValueError, match="no engine 'nginx@/tmp'"):
        engines.find(["nginx@/tmp"])


def test_a_checkout_without_the_package_is_left_out_with_the_reason() -> None:
    found, absent = engines.find(["proxy_core@/nonexistent"])
    assert found == [] and "no proxy_core package" in absent["proxy_core@/nonexistent"]
