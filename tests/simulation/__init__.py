"""Whole nights in milliseconds: the real engine in a world where all time, chance and weather are one seed."""
