"""HubSpot, through its own SDK."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import escape
from types import MappingProxyType
from typing import Any, TypeVar

import urllib3
from hubspot import HubSpot
from hubspot.crm.associations.v4.exceptions import OpenApiException as AssociationsException
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchReadInputSimplePublicObjectId,
    SimplePublicObjectBatchInputUpsert,
    SimplePublicObjectId,
)
from hubspot.crm.contacts.exceptions import OpenApiException as ContactsException
from hubspot.crm.objects import notes, tasks
from hubspot.crm.objects.notes.exceptions import OpenApiException as NotesException
from hubspot.crm.objects.tasks.exceptions import OpenApiException as TasksException

from activities.providers.ports import CrmChange, CrmContact, CrmPerson, CrmTask, CrmTaskState, CrmWritten
from activities.providers.provider_errors import BAD_REQUEST, Fault, ProviderError, parse_retry_after, transport_code
from activities.providers.thread_pool import Threads

PROVIDER = "hubspot"
_NOTE_TO_CONTACT, _TASK_TO_CONTACT = 202, 204  # HubSpot's own association types
_TASK_STATUS: Mapping[str, str] = MappingProxyType({"begun": "IN_PROGRESS", "done": "COMPLETED", "dropped": "DEFERRED"})
_ADDRESS = re.compile(r"https?://[^\s<>\"']+")
_ERRORS = (ContactsException, NotesException, TasksException, AssociationsException)
_Answer = TypeVar("_Answer")


class HubSpotCrm:
    """A `Crm` over the HubSpot SDK, without the SDK's retries: Temporal retries.

    Contacts are identified by their email address. Stage and fields become properties of the contact (`lifecyclestage`
    and the fields' own names). A repeated attempt creates no second note or task: it finds the earlier one among the
    contact's own by time and text.
    """

    def __init__(
        self, *, token: str, base_url: str | None = None, timeout: timedelta = timedelta(seconds=10), threads: int = 4
    ) -> None:
        self._timeout = (5.0, timeout.total_seconds())
        self._threads = Threads("hubspot", threads)
        options: dict[str, Any] = {"access_token": token, "retry": urllib3.Retry(0, redirect=0)}
        if base_url:
            options["host"] = base_url.rstrip("/")
        # Each access to such a property of the SDK creates a pool of connections, so access it once.
        client = HubSpot(**options)
        self._contacts = client.crm.contacts.batch_api
        self._associations = client.crm.associations.v4.basic_api
        self._notes = client.crm.objects.notes.basic_api
        self._tasks = client.crm.objects.tasks.basic_api

    async def apply(self, contact: CrmContact, change: CrmChange, *, again: bool) -> CrmWritten:
        """Write the change to HubSpot; see `Crm`."""
        return await self._threads.run(self._apply, contact, change, again)

    async def update_task(self, task_key: str, state: CrmTaskState) -> None:
        """Update a task in HubSpot; see `Crm`."""
        await self._threads.run(lambda: _asked(lambda: self._update_task(task_key, state)))

    async def read(self, contact_keys: Sequence[str], properties: Sequence[str]) -> list[CrmPerson]:
        """Read contacts of HubSpot; see `Crm`."""
        return await self._threads.run(self._read, contact_keys, properties)

    async def close(self) -> None:
        """Wait for running calls to end."""
        await self._threads.close()

    def _apply(self, contact: CrmContact, change: CrmChange, again: bool) -> CrmWritten:
        if not contact.email:
            raise ProviderError(Fault(PROVIDER, "no-email"))
        email = contact.email
        return _asked(lambda: self._write(email, contact, change, again))

    def _write(self, email: str, contact: CrmContact, change: CrmChange, again: bool) -> CrmWritten:
        written = self._upsert(email, contact, change)
        if change.note is not None:
            self._note(written.contact_key, change, again)
        if change.task is None:
            return written
        return replace(written, task_key=self._task(written.contact_key, change, change.task, again))

    def _read(self, contact_keys: Sequence[str], properties: Sequence[str]) -> list[CrmPerson]:
        asked = BatchReadInputSimplePublicObjectId(
            inputs=[SimplePublicObjectId(id=one) for one in contact_keys],
            properties=list(properties),
            properties_with_history=[],
        )
        answer: Any = _asked(lambda: self._contacts.read(asked, _request_timeout=self._timeout))
        return [
            CrmPerson(str(one.id), {name: one.properties.get(name) for name in properties}, one.updated_at)
            for one in answer.results or []
        ]

    def _upsert(self, email: str, contact: CrmContact, change: CrmChange) -> CrmWritten:
        properties = {name: _text(value) for name, value in change.fields.items()}
        if contact.phone:
            properties.setdefault("phone", contact.phone)
        if change.stage is not None:
            properties["lifecyclestage"] = change.stage
        one = SimplePublicObjectBatchInputUpsert(id=email, id_property="email", properties=properties)
        answer: Any = self._contacts.upsert(
            BatchInputSimplePublicObjectBatchInputUpsert(inputs=[one]), _request_timeout=self._timeout
        )
        if not answer.results:
            raise ProviderError(Fault(PROVIDER, "upsert-refused", 400))
        found = answer.results[0]
        return CrmWritten(str(found.id), found.updated_at, {name: value or None for name, value in properties.items()})

    def _note(self, hubspot_id: str, change: CrmChange, again: bool) -> None:
        stamp, body = _stamp(change.at), change.note or ""
        if again and self._find(hubspot_id, "notes", self._notes, stamp, "hs_note_body", body):
            return
        self._notes.create(
            notes.SimplePublicObjectInputForCreate(
                properties={"hs_timestamp": stamp, "hs_note_body": body},
                associations=[_association(notes, hubspot_id, _NOTE_TO_CONTACT)],
            ),
            _request_timeout=self._timeout,
        )

    def _task(self, hubspot_id: str, change: CrmChange, task: CrmTask, again: bool) -> str:
        """The id of the task, which is made unless an earlier attempt has made it."""
        stamp = _stamp(task.due or change.at)
        if again and (made := self._find(hubspot_id, "tasks", self._tasks, stamp, "hs_task_subject", task.title)):
            return made
        properties = {"hs_timestamp": stamp, "hs_task_subject": task.title, "hs_task_status": "NOT_STARTED"}
        if task.owner and task.owner.isdecimal():
            properties["hubspot_owner_id"] = task.owner
        body = [f"For: {task.owner}"] if task.owner and "hubspot_owner_id" not in properties else []
        if body or task.text:
            properties["hs_task_body"] = "<br>".join([*body, *([_as_html(task.text)] if task.text else [])])
        answer: Any = self._tasks.create(
            tasks.SimplePublicObjectInputForCreate(
                properties=properties, associations=[_association(tasks, hubspot_id, _TASK_TO_CONTACT)]
            ),
            _request_timeout=self._timeout,
        )
        return str(answer.id)

    def _update_task(self, task_key: str, state: CrmTaskState) -> None:
        found: Any = self._tasks.get_by_id(task_key, properties=["hs_task_body"], _request_timeout=self._timeout)
        body, line = found.properties.get("hs_task_body") or "", _as_html(state.line)
        properties = {"hs_task_status": _TASK_STATUS[state.progress]}
        if line not in body.split("<br>"):
            properties["hs_task_body"] = f"{body}<br>{line}" if body else line
        self._tasks.update(
            task_key, tasks.SimplePublicObjectInput(properties=properties), _request_timeout=self._timeout
        )

    def _find(self, hubspot_id: str, kind: str, api: Any, stamp: str, name: str, text: str) -> str | None:
        """The id of what an earlier attempt created. Read through the contact, because HubSpot's search lags behind."""
        page = self._associations.get_page("contacts", hubspot_id, kind, limit=500, _request_timeout=self._timeout)
        for association in page.results or []:
            found = api.get_by_id(
                str(association.to_object_id), properties=["hs_timestamp", name], _request_timeout=self._timeout
            )
            if found.properties.get(name) == text and _moment(found.properties.get("hs_timestamp")) == _moment(stamp):
                return str(association.to_object_id)
        return None


def _asked(call: Callable[[], _Answer]) -> _Answer:
    """The answer of the SDK; its errors become a `ProviderError`, which does not hold them: they have personal data."""
    fault: Fault
    try:
        return call()
    except _ERRORS as error:
        fault = _fault(error)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        fault = Fault(PROVIDER, transport_code(error))
    except (TypeError, ValueError):
        fault = Fault(PROVIDER, BAD_REQUEST)
    raise ProviderError(fault)


def _as_html(text: str) -> str:
    """Plain text as HubSpot shows it, which reads the body of a task as HTML: lines, and links that can be followed."""
    return _ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', escape(text)).replace("\n", "<br>")


def _association(package: Any, hubspot_id: str, kind: int) -> Any:
    return package.PublicAssociationsForObject(
        to=package.PublicObjectId(id=hubspot_id),
        types=[package.AssociationSpec(association_category="HUBSPOT_DEFINED", association_type_id=kind)],
    )


def _stamp(at: datetime) -> str:
    """A moment in HubSpot's format, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _fault(error: Any) -> Fault:
    headers = getattr(error, "headers", None) or {}
    status = int(getattr(error, "status", 0) or 0)
    if status == 0:
        # The SDK describes a TLS error by its text alone; without an answer the outcome is unknown.
        return Fault(PROVIDER, transport_code(error.__context__ or error))
    return Fault(PROVIDER, "", status, parse_retry_after(headers.get("retry-after")))
