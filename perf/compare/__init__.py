"""What a proxy costs, beside other proxies, in one run.

    python3 -m perf.compare [--engines proxy_core,envoy] [--work rr,churn] [--rounds N] [--quick] [--out FILE]

The figure is the proxy process' own CPU time (user and system, from the kernel's nanosecond account) per
operation, not operations per second: that depends on the load generator and on what else the machine does.
Engines take turns (ABC ABC), each turn with a fresh process and a warm-up, and every turn gives a ratio to
the base engine of the same round; what is reported are medians over the rounds. The proxy runs on one core,
load and backends on the others.

    engines.py   how each engine is started on a config with the same meaning (bootstraps.py: Envoy's)
    load.py      the clients and the backends: processes of their own, standard library only (load_tls.py, load_http.py)
    works.py     the workloads: what is done, and what one figure is
    process.py   what the kernel knows about a process: CPU, memory, wake-ups
    report.py    medians, ratios, the table, the JSON result with its context

Linux only, as it reads /proc.
"""
