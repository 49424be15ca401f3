"""proxy_core: Envoy's connection engine in pure Python."""

__version__ = "0.1.0"
