"""Names that outlive a process (workflow ids and effect keys), and the check for ids that would identify a person.

A changed format of a key would send messages of live runs twice, so tests pin the exact strings.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_SEPARATORS = re.compile(r"[\s().\-/]+")
_PHONE_SHAPED = re.compile(r"(?:tel:)?\+?[\d\s().\-/]+", re.ASCII)
_ADVICE = "use an id of your own system, such as user-1042: ids stay in workflow histories for good"


def workflow_id(track: str, contact_id: str, key: str | None = None) -> str:
    """`nurture/<track>/<contact id>`, with `/<key>` at the end for a track with one run per object.

    The id enforces the re-entry rule. `/` and other separators inside the parts are percent-encoded, so that two
    different enrolments never share an id.
    """
    parts = [track, contact_id] if key is None else [track, contact_id, key]
    return "nurture/" + "/".join(quote(part, safe="-_.~:@+=,;!$*()'") for part in parts)


MAX_WORKFLOW_ID = 1_000
"""The longest workflow id in bytes: Temporal's default limit for a namespace
(https://docs.temporal.io/references/dynamic-configuration, `limit.maxIDLength`)."""


def effect_key(enrollment_id: str, step: str, occurrence: int) -> str:
    """`<enrollment>/<step>/<occurrence>`: the same key for every attempt of one effect."""
    return f"{enrollment_id}/{step}/{occurrence}"


def only_digits(text: str) -> bool:
    """Whether the text is only digits. As the id of an object it is the object's number, not a phone number."""
    return re.fullmatch(r"[0-9]+", text) is not None


def looks_personal(text: str) -> str | None:
    """Why `text` may not be used as an id, if it looks like an email address or a phone number; else None."""
    if re.search(r"[^\s@]@[^\s@]", text):
        return f"looks like an email address; {_ADVICE}"
    if _is_phone(text.strip()):
        return f"looks like a phone number; {_ADVICE}"
    return None


def _is_phone(text: str) -> bool:
    if not _PHONE_SHAPED.fullmatch(text):
        return False
    digits = re.sub(r"\D", "", text)
    if not 7 <= len(digits) <= 15 or re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    if text.startswith(("+", "tel:", "00", "(")):
        return True
    if _SEPARATORS.search(text):  # 415-555-0123: groups of digits, and as many digits as a phone number has
        return len(digits) >= 9
    if len(digits) < 10:
        return False
    import phonenumbers  # imported here because it is slow to import and few ids need it

    for candidate, region in ((f"+{digits}", None), (digits, "US")):
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(candidate, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False
