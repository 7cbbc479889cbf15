"""Getting a finished clip onto the disk: fetch, check, publish."""
