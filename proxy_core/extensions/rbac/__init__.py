"""The rules of role based access control, for the network filter and the HTTP filter of the name. Mirrors
`source/extensions/filters/common/rbac`.

    facts.py       what the rules are asked about: addresses, names, certificate, metadata, and a request if there is one
    conditions.py  one permission or principal -> a function of the facts
    rules.py       permissions, principals and policies -> a verdict
    matchers.py    what a `matcher` permission may name
    outcome.py     what a verdict leaves behind: metadata, words for logs
    stats.py       how verdicts are counted
"""
