"""Hooks: one folder or file a library, independent of each other. They know the ledger and nothing of findings."""
