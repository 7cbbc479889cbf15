"""From a YAML file to jobs: reading with positions, checking, expanding."""
