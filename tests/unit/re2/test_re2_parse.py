"""RE2's language: what is accepted means the same, what is refused is refused with RE2's words."""

from __future__ import annotations

import pytest

from proxy_core.re2 import compile_regex


@pytest.mark.parametrize("pattern, matching, other", [
    ("abc", ["abc"], ["ab", "abcd", "xabc"]),
    ("a|bc|", ["a", "bc", ""], ["b", "abc"]),
    (".", ["x", "\xff"], ["", "\n", "xy"]),
    ("(?s).", ["\n"], [""]),
    ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
    ("[^a-c]", ["d", "\n"], ["a", ""]),
    ("[]a]", ["]", "a"], ["[", ""]),
    ("[^]]", ["a"], ["]"]),
    ("[a-]", ["a", "-"], ["b"]),
    ("[-a]", ["-", "a"], [","]),
    ("[[&&]", ["[", "&"], ["a"]),
    (r"[\]\\]", ["]", "\\"], ["a"]),
    (r"[\d_]+", ["1_2"], ["a", ""]),
    (r"[^\s]", ["a", "\v"], [" ", "\t"]),
    (r"\d\D\w\W\s\S", ["1a_- x"], ["11_- x"]),
    (r"\s", [" ", "\t", "\r", "\f", "\n"], ["\v", "\xa0", "x"]),
    (r"\w", ["a", "_"], ["\xe9", "-"]),
    ("[[:alpha:]]", ["a", "Z"], ["1", "\xe9"]),
    ("[[:^digit:]x]", ["a", "x"], ["1"]),
    ("[[:word:][:punct:]]", ["_", "!"], [" "]),
    (r"\x41\x{42}\103\061", ["ABC1"], ["ABC"]),
    (r"\t\n\r\f\a\v", ["\t\n\r\f\a\v"], [""]),
    (r"\.\*\_\-\/", [".*_-/"], ["a*_-/"]),
    (r"\Qa.b*\E+", ["a.b*", "a.b**"], ["axb*"]),
    (r"\Qab", ["ab"], ["a"]),
    (r"\C", ["x", "\n"], [""]),
    ("a{2}", ["aa"], ["a", "aaa"]),
    ("a{2,}", ["aa", "aaaa"], ["a"]),
    ("a{1,2}?", ["a", "aa"], ["aaa"]),
    ("a{,2}", ["a{,2}"], ["a", "aa", ""]),
    ("a{x", ["a{x"], ["a"]),
    ("{", ["{"], [""]),
    ("(?i)aB[c-d]\xe9", ["Abd\xe9", "aBC\xe9"], ["abc\xc9"]),
    ("a(?i)b|c", ["ab", "aB", "c", "C"], ["Ab"]),
    ("(a(?i)b)c", ["aBc"], ["aBC"]),
    ("(?i:a)b", ["Ab"], ["AB"]),
    ("(?i-s:a.)", ["Ab"], ["A\n"]),
    ("(?i)(?-i)a", ["a"], ["A"]),
    ("(?P<n>a)(?<m>b)", ["ab"], ["a"]),
    ("(?:ab)+", ["abab"], ["aba"]),
    ("^a$", ["a"], ["a\n", "b"]),
    ("a$", ["a"], ["a\n"]),
    ("(?m)a$\n^b", ["a\nb"], ["ab"]),
    (r"\Aa\z", ["a"], ["b"]),
    (r"\bab\b-\Ba", [], ["ab-a"]),
    (r"\bab\b-a", ["ab-a"], ["aab-a"]),
    ("^*a", ["a"], ["aa"]),
    ("^+a", ["a"], [""]),
    ("(^a|b)+", ["ab", "b"], ["ba"]),
    ("()", [""], ["a"]),
    ("(?U)a+", ["aaa"], [""]),
])
def test_a_pattern_matches_whole_texts_as_in_re2(pattern: str, matching: "list[str]", other: "list[str]") -> None:
    regex = compile_regex(pattern)
    assert [text for text in matching if not regex.matches(text)] == []
    assert [text for text in other if regex.matches(text)] == []


@pytest.mark.parametrize("pattern, sentence", [
    ("(", "missing ): ("),
    ("(?:a", "missing ): (?:a"),
    ("a)", "unexpected ): a)"),
    ("[a", "missing ]: [a"),
    ("[", "missing ]: ["),
    ("[]", "missing ]: []"),
    ("[b-a]", "invalid character class range: b-a"),
    ("[[:nope:]]", "invalid character class range: [:nope:]"),
    ("a\\", "trailing \\: a\\"),
    ("*a", "no argument for repetition operator: *"),
    ("a|+", "no argument for repetition operator: +"),
    ("a**", "bad repetition operator: **"),
    ("a+*", "bad repetition operator: +*"),
    ("a++", "bad repetition operator: ++"),
    ("a{2}{3}", "bad repetition operator: {2}{"),
    ("a{1001}", "invalid repetition size: {1001}"),
    ("a{3,2}", "invalid repetition size: {3,2}"),
    ("((a{100}){100}){2}", "invalid repetition size: {100}"),
    ("(?=a)", "invalid perl operator: (?="),
    ("(?!a)", "invalid perl operator: (?!"),
    ("(?<=a)b", "invalid perl operator: (?<"),
    ("(?>a)", "invalid perl operator: (?>"),
    ("(?#a)", "invalid perl operator: (?#"),
    ("(?P=n)", "invalid perl operator: (?P"),
    ("(a)\\1", "invalid escape sequence: \\1"),
    (r"\8", "invalid escape sequence: \\8"),
    (r"\Z", "invalid escape sequence: \\Z"),
    (r"\q", "invalid escape sequence: \\q"),
    (r"\xg", "invalid escape sequence: \\x"),
    (r"[\b]", "invalid escape sequence: \\b"),
    (r"\x{110000}", "invalid escape sequence: \\x{110000}"),
    (r"\pL", "Unicode classes are not supported by proxy_core: \\p"),
    ("(" * 200 + ")" * 200, "expression nested too deeply"),
    ("((a{30}){30}b|c{900}){1}" * 15, "pattern too large - compile failed"),
])
def test_what_re2_refuses_is_refused_with_its_words(pattern: str, sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        regex = compile_regex(pattern)
        regex.replacer("")("")  # the last one is built when it is needed
        pytest.fail(f"accepted: {regex}")
    assert str(refused.value) == sentence


@pytest.mark.parametrize("pattern, prefix", [
    ("/a/b[0-9]", "/a/b"), ("^/a(/b)c|", ""), ("/a(/b)c", "/a/bc"), ("^/a$", "/a"), ("(?i)/a", "/"), ("/a*", "/"), (".*", ""),
    (r"\Q/x.y\E.*", "/x.y"), ("(?:/a)/b?", "/a/"),
])
def test_the_text_that_all_matches_begin_with_is_known(pattern: str, prefix: str) -> None:
    assert compile_regex(pattern).literal_prefix == prefix
