"""The dress rehearsal: the real engine and state table, a simulated provider and a simulated clock."""
