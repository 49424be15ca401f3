"""HTTP filters: one module or package each. The connection manager runs them, see `http.filter_api`."""
