"""Leak stories: small plain programs, what must be found in each, and nothing else."""
