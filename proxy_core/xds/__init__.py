"""Configuration that changes while the proxy runs: where it comes from, and who takes it.

    response.py       the bytes of a DiscoveryResponse become resources, each decoded by itself
    subscription.py   one watched file: read, decode, hand over, count (`SubscriptionStats`)
    lds.py            listeners (LDS)
    cds.py            clusters (CDS)
    eds.py            the hosts of a cluster (EDS)
"""
