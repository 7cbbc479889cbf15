"""The state table: the only place that knows SQL."""
