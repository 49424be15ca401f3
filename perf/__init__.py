"""Measuring the engine: beside other proxies (compare), part by part (micro), one round trip (hotpath)."""
