"""Somebody other than the contact to whom a message goes, such as the owner of the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from tracks.contacts.contact_fields import check_email, check_phone
from tracks.model.values import AttributeName, Channel, Model, wrong


class Recipient(Model):
    """Where the recipient's address is: among the contact's attributes, the enrolment's properties, or the policy."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [key]} for key in ("attribute", "property", "salesperson")]}
    )

    attribute: AttributeName | None = Field(None, description="the contact's attribute that holds the address")
    property_: AttributeName | None = Field(
        None, alias="property", description="in place of attribute: the enrolment's property"
    )
    salesperson: Literal[True] | None = Field(
        None, description="in place of attribute: who got the contact's last handoff, by their email in the policy"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Recipient:
        if sum(one is not None for one in (self.attribute, self.property_, self.salesperson)) != 1:
            raise wrong(
                "needs an attribute of the contact or a property of the enrolment or `salesperson: true`, and one only"
            )
        return self

    @property
    def written(self) -> str:
        """The place in words, such as `attribute owner_email`. It is no address, so everybody may see it."""
        if self.salesperson:
            return "salesperson"
        return f"attribute {self.attribute}" if self.attribute is not None else f"property {self.property_}"

    def address(
        self,
        channel: Channel,
        attributes: Mapping[str, Any],
        properties: Mapping[str, Any],
        salesperson: str | None = None,
    ) -> str | None:
        """The recipient's address; None if there is none, or what is there is no address of that channel.

        `salesperson` is the mailbox of who got the last handoff.
        """
        value: Any = properties.get(self.property_ or "")
        if self.salesperson:
            value = parseaddr(salesperson or "")[1] or None
        elif self.attribute is not None:
            value = attributes.get(self.attribute)
        if not isinstance(value, str):
            return None
        try:
            return check_email(value) if channel == "email" else check_phone(value)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class KnownRecipient:
    """Somebody whose address is known from elsewhere, such as a salesperson of the policy."""

    written: str
    """Who it is in words, without an address."""
    email: str

    def address(
        self,
        channel: Channel,
        attributes: Mapping[str, Any],
        properties: Mapping[str, Any],
        salesperson: str | None = None,
    ) -> str | None:
        """The address; None for any other channel."""
        return self.email if channel == "email" else None


Addressee = Recipient | KnownRecipient
