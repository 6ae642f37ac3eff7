"""Options: each by keyword and by variable, parsed alike; a bad value is refused by name with what is allowed."""

from __future__ import annotations

import pytest

from poolwatch.config import ENV_PREFIX, RULES, Config, from_environment, to_environment
from poolwatch.errors import ConfigError

GOOD: dict[str, tuple[object, str, object]] = {
    "interval": (0.5, "0.5", 0.5),
    "grace": (0, "0", 0.0),
    "overdue_after": (30, "30", 30.0),
    "idle_in_transaction_after": (2.5, "2.5", 2.5),
    "starved_after": (1, "1", 1.0),
    "blocked_loop_after": (0.01, "0.01", 0.01),
    "resolve_after": (10, "10", 10.0),
    "stack_depth": (8, "8", 8),
    "max_sites": (5, "5", 5),
    "max_findings": (6, "6", 6),
    "report": ("out.json", "out.json", "out.json"),
    "serve": ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"),
    "strict": (True, "yes", True),
    "inherit_routes": (True, "on", True),
    "reclaim": (["collected"], "collected", ("collected",)),
    "protect_fork": (True, "1", True),
    "hooks": (["sqlalchemy"], "sqlalchemy", ("sqlalchemy",)),
}
"""Option to (keyword value, text of the variable, value in the Config)."""

BAD: dict[str, list[object]] = {
    "interval": [0, -1, "often", True, None, float("nan"), 61],
    "grace": [-0.1, 3601, "soon"],
    "stack_depth": [0, 129, 1.5, "deep", True],
    "max_sites": [0, "many"],
    "report": [5],
    "serve": ["8000", "host:port", "host:70000"],
    "strict": ["maybe", 2],
    "reclaim": ["detached", 3],
    "protect_fork": ["maybe"],
    "hooks": ["sqlalchemy,oracle", 5],
}


@pytest.mark.parametrize("name", GOOD)
def test_keyword_and_variable_agree(name: str) -> None:
    """The keyword and the variable of an option give the same value, other than the default."""
    keyword, text, wanted = GOOD[name]
    by_keyword = getattr(Config.of(Config(), **{name: keyword}), name)
    by_variable = getattr(from_environment({ENV_PREFIX + name.upper(): text}), name)
    assert by_keyword == by_variable == wanted
    assert type(by_keyword) is type(by_variable) is type(wanted)
    assert wanted != getattr(Config(), name)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_value_is_refused_by_name(name: str, value: object) -> None:
    """The error names the option, the value and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        Config.of(Config(), **{name: value})
    text = str(caught.value)
    assert repr(name) in text
    assert repr(value) in text
    assert RULES[name].allowed in text


def test_unknown_option_is_refused() -> None:
    """A misspelt option is refused and the known ones are listed."""
    with pytest.raises(ConfigError, match="overdue_after") as caught:
        Config.of(overdue=5)
    assert "'overdue'" in str(caught.value)


def test_bad_variable_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad variable is refused when the Config is built from the process's environment."""
    monkeypatch.setenv("POOLWATCH_GRACE", "soon")
    with pytest.raises(ConfigError, match="'grace': 'soon'"):
        Config.of()


def test_keyword_wins_over_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyword stands over the variable, an empty variable is none, and the others keep theirs."""
    monkeypatch.setenv("POOLWATCH_GRACE", "3")
    monkeypatch.setenv("POOLWATCH_INTERVAL", "2")
    monkeypatch.setenv("POOLWATCH_MAX_SITES", "")
    config = Config.of(grace=4)
    assert (config.grace, config.interval, config.max_sites) == (4.0, 2.0, Config().max_sites)


def test_environment_for_a_child_says_the_same() -> None:
    """Variables made for a child process give it the same Config; defaults are left out."""
    config = Config.of(Config(), **{name: keyword for name, (keyword, _, _) in GOOD.items()})
    assert from_environment(to_environment(config)) == config
    assert to_environment(Config()) == {}


@pytest.mark.parametrize("name", RULES)
def test_every_option_has_a_good_example(name: str) -> None:
    """A new option comes with a line in this table, and explains itself."""
    assert RULES[name].help
    assert RULES[name].allowed
    assert name in GOOD, f"add {name} to GOOD"
