"""Paid remote queues: the protocol the engine speaks, and the one provider there is."""
