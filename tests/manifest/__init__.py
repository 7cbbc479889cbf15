"""The manifest: read, checked, expanded."""
