"""The loop: decide, commit, act."""
