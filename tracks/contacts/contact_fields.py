"""The rules for a contact's fields and ids. Every way in shares them: a request for one contact, and an import."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

import phonenumbers
from email_validator import EmailNotValidError, ValidatedEmail, validate_email
from pydantic import AfterValidator, Field, WithJsonSchema

from tracks.shared.personal_ids import looks_personal, only_digits
from tracks.time.local_time import is_zone

_IDENTIFIER = r"[A-Za-z0-9_.:|=+@~-]+"
_LOCALE = re.compile(r"([A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*)(?:\.[A-Za-z0-9_:-]{1,20})?(?:@([A-Za-z0-9]{1,20}))?")
_SCRIPTS = {"latin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva"}
PLUS = "[+\uff0b]"
"""The plus sign before a phone number's country code, also the full-width one that some keyboards write."""
MAX_NAMES = 500
MAX_DEPTH = 32
_INT64 = 1 << 63
_UNSEEN = r"\s\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_AROUND = re.compile(f"^[{_UNSEEN}]+|[{_UNSEEN}]+$")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def check_identifier(value: str) -> str:
    """Check an identifier that goes into a workflow id: short, of plain characters, and without personal data.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not 1 <= len(value) <= 128:
        raise ValueError("must have 1 to 128 characters")
    if reason := looks_personal(value):
        raise ValueError(reason)
    if not re.fullmatch(_IDENTIFIER, value):
        raise ValueError("may contain letters, digits and _ . : | = + @ ~ - only")
    if value in (".", ".."):
        raise ValueError("may not be . or .., which are folders in an address")
    return value


def check_key(value: str) -> str:
    """As `check_identifier`, for the id of an object, which may also be a number as long as a phone number.

    Raises:
        ValueError: saying what is wrong with it.
    """
    return value if len(value) <= 128 and only_digits(value) else check_identifier(value)


def check_email(value: str) -> str:
    """An address that mail can be sent to, in normalised form. Names under `.test` pass, for tests and demos.

    Spaces and invisible characters around the address are removed; forms and files often have them. The domain keeps
    the letters in which it was given: `mail_form` returns the form for a mail system.

    Raises:
        ValueError: saying what is wrong with it.
    """
    found = _read_email(value, strict=True)
    if not found.local_part.isascii():
        letter = next(letter for letter in found.local_part if not letter.isascii())
        raise ValueError(f"may have ASCII characters only before the @, not {letter}: no mail could be sent there")
    return _as_given(value, found)


def check_any_email(value: str) -> str:
    """As `check_email`, but accepts an address that mail cannot be sent to: it may have to be suppressed.

    Raises:
        ValueError: saying what is wrong with it.
    """
    return _as_given(value, _read_email(value))


def mail_form(address: str) -> str:
    """The address for a mail system without SMTPUTF8, such as SES: its domain in ASCII (Punycode).

    Raises:
        ValueError: it has letters before the @ that are not ASCII, or it is no address.
    """
    if address.isascii():
        return address
    form = _read_email(address).ascii_email
    if form is None:
        raise ValueError("has letters before the @ that are not ASCII")
    return form


def domain_form(domain: str) -> str:
    """As `mail_form`, for a domain alone, in lower case (IDNA 2008).

    Raises:
        ValueError: it is no domain.
    """
    if domain.isascii():
        return domain.lower()
    return _read_email(f"x@{domain}").ascii_domain.lower()


def ways_to_write(address: str) -> tuple[str, ...]:
    """The forms in which the address may be stored: as given, with its domain in its own letters, and in ASCII."""
    found = _read_email(address)
    return tuple(dict.fromkeys((address, found.normalized, found.ascii_email or address)))


def _read_email(value: str, *, strict: bool = False) -> ValidatedEmail:
    """`strict`: at most 64 letters before the @ (https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.1)."""
    try:
        return validate_email(_trimmed(value), check_deliverability=False, test_environment=True, strict=strict)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


def _as_given(value: str, found: ValidatedEmail) -> str:
    return found.ascii_email if _trimmed(value).isascii() and found.ascii_email else found.normalized


def _trimmed(value: str) -> str:
    return _AROUND.sub("", value)


def check_phone(value: str) -> str:
    """A phone number as E.164.

    Raises:
        ValueError: it has no country code or cannot be a phone number.
    """
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        raise ValueError("must be a phone number with + and its country code, such as +41446681800") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("is too short or too long for a phone number of that country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def check_zone(value: str) -> str:
    """The name of an IANA time zone.

    Raises:
        ValueError: there is no such zone.
    """
    if not is_zone(value):
        raise ValueError("is not an IANA time zone such as Europe/Zurich")
    return value


def check_locale(value: str) -> str:
    """A language tag, with hyphens. A POSIX locale (`pt_BR.UTF-8`, `sr_RS@latin`) is converted to one.

    The encoding in such a locale is dropped. Its modifier is kept if it names a script, and dropped otherwise.
    https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html#tag_08_02

    Raises:
        ValueError: it does not look like a language tag.
    """
    found = _LOCALE.fullmatch(value)
    if found is None or len(found[1]) > 35:
        raise ValueError("must be a language tag such as en or de-CH")
    language, *rest = found[1].replace("_", "-").split("-")
    script = None if any(len(part) == 4 for part in rest) else _SCRIPTS.get((found[2] or "").lower())
    return "-".join([language, *([script] if script else []), *rest])


def check_object(value: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with at most `MAX_NAMES` names of 1 to 200 characters.

    Raises:
        ValueError: it has more names, or a name is empty or too long.
    """
    if len(value) > MAX_NAMES:
        raise ValueError(f"may have at most {MAX_NAMES} names")
    for name in value:
        if not 1 <= len(name) <= 200:
            raise ValueError("names must have 1 to 200 characters")
    return value


def plain(description: str, example: str, **schema: Any) -> WithJsonSchema:
    """The JSON schema of a text that a function checks."""
    return WithJsonSchema({"type": "string", "description": description, "examples": [example], **schema})


_PART = _IDENTIFIER.replace("@", "")
_IDENTIFIER_SCHEMA: dict[str, Any] = {
    "minLength": 1,
    "maxLength": 128,
    # One @ between two parts would be an email address. No look-ahead: many schema readers do not support it.
    "pattern": f"^@*({_PART}(@@+{_PART})*)?@*$",
    "not": {"enum": [".", ".."]},
}

Identifier = Annotated[
    str,
    AfterValidator(check_identifier),
    plain(
        "An id of your own that says nothing about the person: no email address, no phone number.",
        "user_1042",
        **_IDENTIFIER_SCHEMA,
    ),
]
ObjectKey = Annotated[
    str,
    AfterValidator(check_key),
    plain(
        "The id of the object that the run is about, such as a cart: no email address, no phone number.",
        "cart-7",
        **_IDENTIFIER_SCHEMA,
    ),
]
Email = Annotated[
    str, AfterValidator(check_email), plain("Email address.", "ada@example.com", format="email", maxLength=254)
]
Phone = Annotated[
    str,
    AfterValidator(check_phone),
    plain(
        "Phone number with its country code; kept as E.164.",
        "+41446681800",
        minLength=3,
        maxLength=250,
        pattern=PLUS,
    ),
]
Zone = Annotated[
    str, AfterValidator(check_zone), plain("IANA time zone.", "Europe/Zurich", pattern="^[A-Za-z0-9_+/-]+$")
]
Locale = Annotated[
    str,
    AfterValidator(check_locale),
    plain("Language tag (BCP 47).", "de-CH", maxLength=77, pattern=f"^{_LOCALE.pattern.replace('(?:', '(')}$"),
]
Object = Annotated[
    dict[str, Any],
    AfterValidator(check_object),
    Field(json_schema_extra={"maxProperties": MAX_NAMES, "propertyNames": {"minLength": 1, "maxLength": 200}}),
]


def unstorable(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every value in JSON data that PostgreSQL's jsonb or a condition cannot hold: its path, and what is wrong.

    These are NUL and lone surrogates in texts, numbers that are not finite or do not fit 64 bits, and nesting deeper
    than `MAX_DEPTH`.
    """
    match value:
        case str():
            if not _writable(value):
                yield at, "A text may not contain a NUL character or half a surrogate pair."
        case bool() | None:
            pass
        case int():
            if not -_INT64 <= value < _INT64:
                yield at, "A whole number must fit 64 bits."
        case float():
            if not math.isfinite(value):
                yield at, "A number must be finite."
        case _ if len(at) >= MAX_DEPTH:
            yield at, f"Nested deeper than {MAX_DEPTH} levels."
        case dict():
            for key, inner in value.items():
                if _writable(key):
                    yield from unstorable(inner, (*at, key))
                else:
                    yield at, "A name may not contain a NUL character or half a surrogate pair."
        case list():
            for index, inner in enumerate(value):
                yield from unstorable(inner, (*at, index))


def storable_text(text: str) -> str:
    """The text without the characters that `unstorable` names. For texts of a provider, which cannot be sent again."""
    return text if _writable(text) else _UNWRITABLE.sub("", text)


def storable_data(value: Any) -> Any:
    """As `storable_text`, for every text and name in JSON data."""
    match value:
        case str():
            return storable_text(value)
        case dict():
            return {storable_text(name): storable_data(part) for name, part in value.items()}
        case list():
            return [storable_data(part) for part in value]
    return value


def _writable(text: str) -> bool:
    return "\x00" not in text and (text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))
