"""The check for ids that would identify a person: ids stay in workflow histories for good."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s().\-/]+")
_PHONE_SHAPED = re.compile(r"(?:tel:)?\+?[\d\s().\-/]+", re.ASCII)
_ADVICE = "use an id of your own system, such as user-1042: ids stay in workflow histories for good"


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
