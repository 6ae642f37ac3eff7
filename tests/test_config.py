"""Options: each by keyword and by variable, parsed alike; a bad value is refused by name with what is allowed."""

from __future__ import annotations

import certifi
import pytest

from poolwatch.config import ENV_PREFIX, RULES, Config, from_environment, to_environment
from poolwatch.config.values import Secret
from poolwatch.errors import ConfigError

CA = certifi.where()

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
    "floor_window": (15, "15", 15.0),
    "floor_steps": (3, "3", 3),
    "max_findings": (6, "6", 6),
    "report": ("out.json", "out.json", "out.json"),
    "serve": ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"),
    "strict": (True, "yes", True),
    "inherit_routes": (True, "on", True),
    "reclaim": (["collected"], "collected", ("collected",)),
    "protect_fork": (True, "1", True),
    "hooks": (["sqlalchemy"], "sqlalchemy", ("sqlalchemy",)),
    "telemetry": (["metrics", "logs"], "metrics,logs", ("metrics", "logs")),
    "alert_webhook": ("http://h/x", "http://h/x", Secret("http://h/x")),
    "alert_format": ("slack", "slack", "slack"),
    "alert_headers": ("X-Key: abc", "X-Key: abc", Secret("X-Key: abc")),
    "alert_alertmanager": ("http://a:9093,https://b", "http://a:9093,https://b", Secret("http://a:9093,https://b")),
    "alert_ca": (CA, CA, CA),
    "alert_name": ("shop", "shop", "shop"),
    "alert_grade": ("proved", "proved", "proved"),
    "alert_kinds": (["leak", "crossing.flow"], "leak, crossing.flow", ("leak", "crossing.flow")),
    "alert_repeat": (60, "60", 60.0),
    "alert_silence": ("/run/quiet", "/run/quiet", "/run/quiet"),
    "alert_limit": (1, "1", 1),
}
"""Option to (keyword value, text of the variable, value in the Config)."""

BAD: dict[str, list[object]] = {
    "interval": [0, -1, "often", True, None, float("nan"), 61],
    "grace": [-0.1, 3601, "soon"],
    "stack_depth": [0, 129, 1.5, "deep", True],
    "max_sites": [0, "many"],
    "report": [5, "/nowhere/r.json", "/", f"{__file__}/r.json", "r\0.json"],
    "serve": ["8000", "host:port", "host:70000", "[::1:0", "::1]:0"],
    "strict": ["maybe", 2],
    "reclaim": ["detached", 3, [None]],
    "protect_fork": ["maybe"],
    "hooks": ["sqlalchemy,oracle", 5, [1], "", " , ", []],
    "telemetry": ["metrics,traces", 5, "", ()],
    "alert_format": ["xml", 5, None],
    "alert_ca": ["/nowhere/ca.pem", __file__, 5],
    "alert_grade": ["sure", None],
    "alert_kinds": ["leaks", "leak.unknown", 5, "", []],
    "alert_repeat": [0, "daily"],
    "alert_silence": ["tomorrow", "quiet", 5],
    "alert_limit": [0, "none"],
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
    config = Config.of(Config(), **{name: GOOD[name][0] for name in GOOD if not RULES[name].secret})
    assert from_environment(to_environment(config)) == config
    assert to_environment(Config()) == {}


@pytest.mark.parametrize("name", RULES)
def test_every_option_has_a_good_example(name: str) -> None:
    """A new option comes with a line in this table, and explains itself."""
    assert RULES[name].help
    assert RULES[name].allowed
    assert name in GOOD, f"add {name} to GOOD"
