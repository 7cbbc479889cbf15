"""A local service in the shape of the provider's queue that renders small real clips."""
