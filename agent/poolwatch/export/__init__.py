"""Numbers for other tools, computed from the report."""
