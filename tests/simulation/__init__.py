"""Whole nights in milliseconds: the real engine in a world where time, chance and weather are one seed."""
