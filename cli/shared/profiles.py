"""The file of profiles: the installations that a person works with, and a key of each.

`perennial/profiles.toml` in the folder for configuration (`XDG_CONFIG_HOME`, else `~/.config`), one table for each:

```toml
[default]
url = "https://nurture.acme.test"
key = "pk_…"
```
"""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

DEFAULT = "default"
"""The profile that is used if nothing else names an installation."""


class Profile(NamedTuple):
    """An installation: the address of its API, and a key."""

    url: str
    key: str = ""


class ProfileError(ValueError):
    """The file cannot be used. The text says why, and what to do."""


def path() -> Path:
    """The path of the file, whether it exists or not."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "perennial" / "profiles.toml"


def find(name: str) -> Profile | None:
    """The profile of that name; without a name the default one, or None if there is none. Raises ProfileError."""
    file = path()
    try:
        with file.open("rb") as opened:
            others = stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077
            found = tomllib.load(opened)
    except FileNotFoundError:
        if name:
            raise ProfileError(f"There is no profile {name}: {file} does not exist.") from None
        return None
    except (OSError, ValueError) as problem:
        raise ProfileError(f"{file} cannot be read: {problem}.") from None
    profiles = {each: _read(file, each, table) for each, table in found.items()}
    if others and any(profile.key for profile in profiles.values()):
        raise ProfileError(f"Others may read {file}, which holds keys: chmod 600 {file}")
    if name and name not in profiles:
        raise ProfileError(f"There is no profile {name} in {file}; it has {', '.join(sorted(profiles)) or 'none'}.")
    return profiles.get(name or DEFAULT)


def _read(file: Path, name: str, table: Any) -> Profile:
    fields = table if isinstance(table, dict) else {}
    texts = all(isinstance(value, str) for value in fields.values())
    if not texts or "url" not in fields or not fields.keys() <= set(Profile._fields):
        raise ProfileError(f'{file}: profile {name} needs `url = "https://…"`, may have `key = "…"`, and nothing else.')
    return Profile(**fields)
