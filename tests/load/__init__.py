"""Correct applications on real servers under load: ``python -m tests.load`` drives them over HTTP and compares.

A run is right when every answer is, there is no finding, no hook failed, and the report's ``scopes`` have exactly the
flows and leases that the client knows it has caused. ``tests/test_frameworks.py`` makes short runs of the same.
"""
