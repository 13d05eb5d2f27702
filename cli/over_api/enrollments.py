"""Commands about enrollments and their runs."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.over_api.lists import Contact, Csv, Limit, Listing, Track, at, field, show
from cli.shared.common import Key, Url, ask_api
from cli.shared.printing import Json, say, say_json, say_table

Id = Annotated[str, typer.Argument(help="The enrolment's id.")]

enrollment_commands = typer.Typer(
    help="See where contacts are, and steer their runs.",
    epilog="Speaks to the API (--url, --key).",
    no_args_is_help=True,
)
ENROLLMENTS = Listing(
    "/v1/enrollments",
    "enrollments",
    {
        "id": field("id"),
        "track": lambda one: f"{one['track']} v{one['version']}",
        "contact": field("contact_id"),
        "status": field("status"),
        "step": lambda one: one["end_reason"] or one["step"],
        "begun (UTC)": at("created_at"),
    },
    empty="No enrolment matches.",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(enrollment_commands, name="enrollments")


@enrollment_commands.command("list")
def list_enrollments(
    track: Track = None,
    contact: Contact = None,
    status: Annotated[str | None, typer.Option(help="active, completed, converted or exited.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List enrolments, newest first.

    Example: perennial enrollments list --track win-back --status active
    """
    filters = {"track": track, "contact_id": contact, "status": status}
    show(ENROLLMENTS, filters, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@enrollment_commands.command("show")
def show_enrollment(enrollment_id: Id, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show where a run is, and its path.

    Example: perennial enrollments show 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90
    """
    found = ask_api(url, key, "GET", f"/v1/enrollments/{enrollment_id}")
    if as_json:
        say_json(found)
        return
    for name in ("track", "version", "contact_id", "status", "step", "state", "trouble", "waiting_for", "end_reason"):
        if found[name] is not None:
            say(f"{name:<13} {found[name]}")
    for name in ("until_real", "created_at", "ended_at"):
        if found[name] is not None:
            say(f"{name:<13} {at(name)(found)} UTC")
    typer.echo("")
    rows = [(at("at")(one), one["step"], one["kind"], one["outcome"], one["detail"]) for one in found["path"]]
    say_table(("on the run's clock", "step", "kind", "outcome", "detail"), rows, empty="It has not reached any step.")


@enrollment_commands.command("skip-wait")
def skip_wait(
    enrollment_id: Id,
    step: Annotated[str | None, typer.Option(help="Only if it waits in this step.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End a run's current wait. The run continues with its next step.

    Example: perennial enrollments skip-wait 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90 --step cooling
    """
    found = ask_api(url, key, "POST", f"/v1/enrollments/{enrollment_id}/skip-wait", {"step": step})
    say_json(found) if as_json else say(f"The wait {found['step']} has ended; the run goes on.")


@enrollment_commands.command("end")
def end_run(
    enrollment_id: Id,
    reason: Annotated[str, typer.Option(help="A word for reports; no personal data.")] = "ended-by-operator",
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """End a run now. Nothing more is sent, even if no worker is running.

    Example: perennial enrollments end 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90 --reason asked-by-phone
    """
    found = ask_api(url, key, "POST", f"/v1/enrollments/{enrollment_id}/end", {"reason": reason})
    say_json(found) if as_json else say("The run ends." if found["ending"] else "The run had ended already.")
