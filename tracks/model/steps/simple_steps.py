"""What every step has, and the steps that hold no other steps. The docstring of a step is in the JSON Schema."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from tracks.model.steps.effects import Changes, Crm, Enrolment, Webhook
from tracks.model.values import Model, Slug, StepId, Text


class Base(Model):
    """What every step has."""

    kind: ClassVar[str]
    """The step's verb."""
    id: StepId = Field(description="stable and unique in the track: lower-case letters, digits, - and _")
    description: Text = ""


class Ending(Model):
    """The end of the run, with a reason."""

    reason: Slug = "exit"


class ExitStep(Base):
    """End the run."""

    kind = "exit"
    exit: Annotated[Ending, BeforeValidator(lambda value: {} if value is None else value)]


class Leaving(Model):
    """The end of the innermost repeat around the step; it says nothing more."""


class BreakStep(Base):
    """Leave the innermost repeat around this step."""

    kind = "break"
    leave: Annotated[Leaving, BeforeValidator(lambda value: {} if value is None else value)] = Field(alias="break")


class EnrollStep(Base):
    """Enrol into another track."""

    kind = "enroll"
    enroll: Enrolment


class CrmStep(Base):
    """Write to the CRM."""

    kind = "crm"
    crm: Crm


class SetStep(Base):
    """Write contact attributes."""

    kind = "set"
    set: Changes


class WebhookStep(Base):
    """Call your own system."""

    kind = "webhook"
    webhook: Webhook
