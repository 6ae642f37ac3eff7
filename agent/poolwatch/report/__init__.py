"""The report as JSON: one file per process, the shape it must have, and one made of many."""
