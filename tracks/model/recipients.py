"""Somebody other than the contact to whom a message goes, such as the owner of the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from tracks.contacts.contact_fields import check_email, check_phone
from tracks.model.values import AttributeName, Channel, Model, wrong


class Recipient(Model):
    """Where the recipient's address is: among the contact's attributes, or the enrolment's properties."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["attribute"]}, {"required": ["property"]}]})

    attribute: AttributeName | None = Field(None, description="the contact's attribute that holds the address")
    property_: AttributeName | None = Field(
        None, alias="property", description="in place of attribute: the enrolment's property"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Recipient:
        if (self.attribute is None) == (self.property_ is None):
            raise wrong("needs an attribute of the contact or a property of the enrolment, and not both")
        return self

    @property
    def written(self) -> str:
        """The place in words, such as `attribute owner_email`. It is no address, so everybody may see it."""
        return f"attribute {self.attribute}" if self.attribute is not None else f"property {self.property_}"

    def address(self, channel: Channel, attributes: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
        """The recipient's address; None if there is none, or what is there is no address of that channel."""
        value = attributes.get(self.attribute) if self.attribute is not None else properties.get(self.property_ or "")
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

    def address(self, channel: Channel, attributes: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
        """The address; None for any other channel."""
        return self.email if channel == "email" else None


Addressee = Recipient | KnownRecipient
