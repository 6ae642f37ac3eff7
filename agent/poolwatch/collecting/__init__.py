"""Knows all processes of a spool folder: which live, what they hold, and what those that died have left.

For the agent and for those who serve ``/metrics`` themselves. What a watched process needs is not here.
"""
