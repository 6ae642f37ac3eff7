"""Options: one list, and parsers of their values."""

from poolwatch.config.options import ENV_PREFIX, HOOKS, RULES, Config, from_environment, to_environment

__all__ = ["ENV_PREFIX", "HOOKS", "RULES", "Config", "from_environment", "to_environment"]
