"""Names and limits that histories and other deployments contain: changing one breaks live runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from activities import contract
from api.relay.delivery import _payload, encoded
from infra.launch.temporal import SEARCH_ATTRIBUTES as REGISTERED
from tracks.runs import import_interface, run_interface
from tracks.runs.program import Program
from tracks.shared.run_clock import Clock
from workflows import patches, retry_policies, search_attributes


def test_the_workflow_and_its_messages_keep_their_names() -> None:
    assert run_interface.WORKFLOW_TYPE == "NurtureTrack"
    assert run_interface.TASK_QUEUE == "perennial"
    assert (run_interface.SIGNAL_EVENT, run_interface.SIGNAL_ATTRIBUTES, run_interface.SIGNAL_END) == (
        "event",
        "attributes_changed",
        "end",
    )
    assert (run_interface.UPDATE_RESOLVE_MESSAGE, run_interface.UPDATE_SKIP_WAIT, run_interface.UPDATE_EXIT) == (
        "resolve_message",
        "skip_wait",
        "exit",
    )
    assert (run_interface.QUERY_JOURNEY, run_interface.MEMO_ENROLLMENT) == ("journey", "enrollment_id")


def test_activities_and_their_queues_keep_their_names() -> None:
    names = {key: value for key, value in vars(contract).items() if key.isupper() and isinstance(value, str)}
    assert names == {
        "SEND_EMAIL": "send_email",
        "SEND_SMS": "send_sms",
        "SEND_EMAIL_NOW": "send_email_now",
        "SEND_SMS_NOW": "send_sms_now",
        "UPDATE_CRM": "update_crm",
        "CALL_WEBHOOK": "call_webhook",
        "SET_ATTRIBUTES": "set_attributes",
        "ENROLL_CONTACT": "enroll_contact",
        "RECONCILE_MESSAGE": "reconcile_message",
        "HAND_OVER": "hand_over",
        "SETTLE_HANDOFF": "settle_handoff",
        "RESOLVE_WAIT": "resolve_wait",
        "AWAIT_CONDITION": "await_condition",
        "DECIDE_BRANCH": "decide_branch",
        "CLOSE_RUN": "close_run",
        "REPORT_PATH": "report_path",
        "COUNT_UNDELIVERED": "count_undelivered",
        "APPLY_CHUNK": "apply_chunk",
        "STEER_IMPORT": "steer_import",
        "TASK_QUEUE": "perennial",
        "QUEUE_RUNS": "perennial",
        "QUEUE_EMAIL": "perennial-email",
        "QUEUE_SMS": "perennial-sms",
        "QUEUE_CRM": "perennial-crm",
        "QUEUE_WEBHOOK": "perennial-webhook",
        "QUEUE_IMPORTS": "perennial-imports",
        "ERROR_THROTTLED": "ProviderThrottled",
        "ERROR_UNAVAILABLE": "ProviderUnavailable",
    }


def test_imports_keep_their_names() -> None:
    assert (import_interface.WORKFLOW_TYPE, import_interface.TASK_QUEUE) == ("ImportContacts", "perennial-imports")
    assert (import_interface.SIGNAL_CHANGED, import_interface.QUERY_PROGRESS) == ("changed", "progress")
    updates = (
        import_interface.UPDATE_PAUSE,
        import_interface.UPDATE_RESUME,
        import_interface.UPDATE_CANCEL,
        import_interface.UPDATE_SET_RATE,
    )
    assert updates == ("pause", "resume", "cancel", "set_rate")
    assert import_interface.workflow_id("i-1") == "import/i-1"


def test_search_attributes_are_the_ones_that_the_project_registers() -> None:
    assert run_interface.SEARCH_ATTRIBUTES == REGISTERED
    used = {search_attributes.STEP.name, search_attributes.STATE.name, search_attributes.NEXT_ACTION_AT.name}
    assert used < set(REGISTERED)


def test_the_policies_hold_what_their_names_say() -> None:
    assert retry_policies.UNTIL_PROVIDER_ANSWERS.maximum_attempts == 0
    assert retry_policies.UNTIL_DATABASE_ANSWERS.maximum_attempts == 0
    assert retry_policies.ATTEMPT_LIMIT < retry_policies.EFFECT_DEADLINE
    assert timedelta(days=30) == retry_policies.WAIT_SLICE
    assert patches.PAUSE_BETWEEN_TURNS == "pause-between-turns"
    assert patches.CLOCKS_APART == "clocks-apart"
    assert patches.SEND_NOW == "send-now"
    assert patches.EVENTS_COUNT_ONCE == "events-count-once"
    assert patches.LATE_WAITS == "late-waits"
    assert patches.TOLD_ENOUGH == "told-enough"
    assert patches.REPORT_PATH == "report-path"
    assert retry_policies.ONCE.maximum_attempts == 1
    assert list(retry_policies.RECONCILE_AFTER) == sorted(retry_policies.RECONCILE_AFTER)


@pytest.mark.parametrize(
    "state", [run_interface.RunState(), run_interface.RunState(pc=2, seq=5)], ids=["begun", "continued"]
)
def test_temporals_page_opens_a_run_with_who_and_where_and_the_program_last(state: run_interface.RunState) -> None:
    clock = Clock(origin=datetime(2026, 3, 1, tzinfo=UTC))
    given = run_interface.RunInput(
        program=Program(code=()), state=state, clock=clock, enrollment_id="e", contact_id="c", version=1, track="t"
    )
    moving = ["clock", "state"] if state.pc else ["clock"]
    shown = list(json.loads(given.model_dump_json()))
    assert shown == ["track", "version", "contact_id", "enrollment_id", *moving, "program"]
    assert list(json.loads(_payload(given, encoded(given.program)).payload.data)) == shown
