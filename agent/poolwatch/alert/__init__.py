"""Sinks that tell people of findings."""
