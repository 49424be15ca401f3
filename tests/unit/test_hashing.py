"""XXH64 against what Envoy 1.40 shows as `listener_manager.lds.version` for these version texts, and published vectors;
MurmurHash64A against std::hash of libstdc++."""

from __future__ import annotations

import pytest

from proxy_core.hashing import murmur2, xxhash64

ENVOYS = {
    "": 17241709254077376921,
    "1": 13237225503670494420,
    "2b": 15850294150234756760,
    "abcdefgh": 4238821247360054455,
    "abcdefghijkl": 5407054947222279347,
    "2026-11-23T23:43:46.680Z/0000000017": 7257075138847084876,
    "x" * 32: 16347827090234290411,
    "y" * 33: 17473221653682761460,
    "A long version text of more than sixty-four bytes, as a hash of a tree: 0123456789abcdef": 3863556264859487407,
}


@pytest.mark.parametrize("text, number", ENVOYS.items())
def test_the_hash_of_a_text_is_the_number_that_envoy_shows(text: str, number: int) -> None:
    assert xxhash64(text.encode()) == number


def test_published_vectors_and_the_seed() -> None:
    assert xxhash64(b"abc") == 0x44BC2CF5AD770999
    assert xxhash64(b"", 0) != xxhash64(b"", 1)
    assert xxhash64(b"x" * 40, 1) != xxhash64(b"x" * 40)


def test_every_length_up_to_three_stripes_gives_another_number_of_64_bits() -> None:
    numbers = [xxhash64(b"\xff" * length, 1 << 63) for length in range(97)]
    assert len(set(numbers)) == 97
    assert all(0 <= number < 1 << 64 for number in numbers)


STD_HASHES = {
    b"": 6142509188972423790,
    b"a": 4993892634952068459,
    b"hello": 2762169579135187400,
    b"1234567": 7888703982793837558,
    b"12345678": 10113836418918046885,
    b"127.0.0.1:10001_5": 11520148019119904585,
    b"\xff\x80\x01 bytes above 127 in the tail \xff\xfe": 17116287687706284207,
}


@pytest.mark.parametrize("data, number", STD_HASHES.items())
def test_murmur_hash_2_is_the_std_hash_of_the_same_bytes(data: bytes, number: int) -> None:
    assert murmur2(data) == number


def test_the_seed_of_murmur_counts() -> None:
    assert murmur2(b"abc", 0) != murmur2(b"abc") == murmur2(b"abc", 0xC70F6907)
