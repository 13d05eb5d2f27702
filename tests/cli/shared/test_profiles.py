"""Which installation a command uses if a person works with several."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.shared.common import api_caller
from cli.shared.profiles import Profile, ProfileError, find, path
from settings import get_settings

TWO = '[default]\nurl = "https://one.test"\nkey = "pk_one"\n\n[staging]\nurl = "https://two.test"\nkey = "pk_two"\n'


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stack and no variables; the file of profiles is this test's own."""
    for name in ("PERENNIAL_PUBLIC_URL", "PERENNIAL_API_KEY", "PERENNIAL_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PERENNIAL_DATA", str(tmp_path / "nothing"))


def written(text: str, mode: int = 0o600) -> None:
    path().parent.mkdir(exist_ok=True)
    path().write_text(text)
    path().chmod(mode)


def spoken_to(url: str | None = None, key: str | None = None) -> tuple[str, str]:
    """The address and the key that a command would use."""
    get_settings.cache_clear()
    try:
        with api_caller(url, key) as client:
            return str(client.base_url).rstrip("/"), client.headers["authorization"].removeprefix("Bearer ")
    finally:
        get_settings.cache_clear()


def test_a_named_profile_goes_before_the_environment_and_the_default_one_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written(TWO)
    assert spoken_to() == ("https://one.test", "pk_one")
    monkeypatch.setenv("PERENNIAL_PUBLIC_URL", "https://env.test")
    monkeypatch.setenv("PERENNIAL_API_KEY", "pk_env")
    assert spoken_to() == ("https://env.test", "pk_env")
    monkeypatch.setenv("PERENNIAL_PROFILE", "staging")
    assert spoken_to() == ("https://two.test", "pk_two")
    assert spoken_to("https://given.test", "pk_given") == ("https://given.test", "pk_given")


def test_a_profiles_key_goes_to_no_other_address(capsys: pytest.CaptureFixture[str]) -> None:
    written(TWO)
    with pytest.raises(Exception, match="1"):
        spoken_to("https://elsewhere.test")
    assert "There is no key for the API" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (TWO, 0o644, "Others may read .*: chmod 600"),
        ("[default", 0o600, "cannot be read"),
        ("[staging]\nkey = 'pk'\n", 0o600, "profile staging needs `url"),
        ("[staging]\nurl = 'https://x'\nkye = 'pk'\n", 0o600, "and nothing else"),
        ("url = 'https://x'\n", 0o600, "profile url needs"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(text: str, mode: int, why: str) -> None:
    written(text, mode)
    with pytest.raises(ProfileError, match=why):
        find("")


def test_a_profile_that_is_not_there_is_named_with_those_that_are() -> None:
    assert find("") is None
    with pytest.raises(ProfileError, match="does not exist"):
        find("staging")
    written(TWO)
    with pytest.raises(ProfileError, match="it has default, staging"):
        find("production")
    assert find("staging") == Profile("https://two.test", "pk_two")


def test_who_keeps_no_key_in_the_file_may_let_others_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    written('[default]\nurl = "https://one.test"\n', 0o644)
    monkeypatch.setenv("PERENNIAL_API_KEY", "pk_env")
    assert spoken_to() == ("https://one.test", "pk_env")
