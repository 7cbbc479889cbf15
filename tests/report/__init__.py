"""The report page: its data, its files, and the page itself in a real browser."""
