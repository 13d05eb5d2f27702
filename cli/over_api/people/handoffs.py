"""Commands about leads that were handed over to sales."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.over_api.lists import Contact, Csv, Limit, Listing, Since, Track, Until, at, field, moment, show
from cli.over_api.score_quality import say_quality
from cli.shared.common import Key, Url, ask_api
from cli.shared.printing import Json, say, say_json

handoff_commands = typer.Typer(
    help="See the leads that sales was asked to take over, and answer for sales.",
    epilog="Speaks to the API (--url, --key).",
    no_args_is_help=True,
)
HandoffId = Annotated[str, typer.Argument(help="The handoff's id.")]
HANDOFFS = Listing(
    "/v1/handoffs",
    "handoffs",
    {
        "id": field("id"),
        "contact": field("contact_id"),
        "track": field("track"),
        "salesperson": field("salesperson"),
        "status": lambda one: f"{one['status']} ({one['answer_reason']})" if one["answer_reason"] else one["status"],
        "due (UTC)": at("due_at"),
        "reason": field("reason"),
    },
    empty="No handoff matches.",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(handoff_commands, name="handoffs")


@handoff_commands.command("list")
def list_handoffs(
    status: Annotated[str | None, typer.Option(help="Such as waiting, accepted, rejected, expired.")] = None,
    team: Annotated[str | None, typer.Option(help="Only of this team.")] = None,
    salesperson: Annotated[str | None, typer.Option(help="Only of this salesperson.")] = None,
    contact: Contact = None,
    track: Track = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List handoffs, newest first.

    Example: perennial handoffs list --status waiting --salesperson ada
    """
    filters = {
        "status": status,
        "team": team,
        "salesperson": salesperson,
        "contact_id": contact,
        "track": track,
        "since": moment(since),
        "until": moment(until),
    }
    show(HANDOFFS, filters, limit=limit, as_json=as_json, as_csv=as_csv, url=url, key=key)


@handoff_commands.command("show")
def show_handoff(handoff_id: HandoffId, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show what the salesperson was told, and the answer.

    Example: perennial handoffs show 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90
    """
    _print(ask_api(url, key, "GET", f"/v1/handoffs/{handoff_id}"), as_json=as_json)


@handoff_commands.command("accept")
def accept(handoff_id: HandoffId, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Say that sales takes the lead. The waiting run goes on at once.

    Example: perennial handoffs accept 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90
    """
    _answer(url, key, handoff_id, {"status": "accepted"}, as_json=as_json)


@handoff_commands.command("reject")
def reject(
    handoff_id: HandoffId,
    reason: Annotated[str, typer.Option(help="A reason of the policy, such as not-a-fit.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Say that sales does not take the lead, and why. The waiting run goes on at once.

    Example: perennial handoffs reject 0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90 --reason not-a-fit
    """
    _answer(url, key, handoff_id, {"status": "rejected", "reason": reason}, as_json=as_json)


def _answer(url: str | None, key: str | None, handoff_id: str, body: dict[str, Any], *, as_json: bool) -> None:
    taken = ask_api(url, key, "POST", f"/v1/handoffs/{handoff_id}/feedback", body)
    if as_json:
        say_json(taken)
    elif taken["late"]:
        say(taken["detail"])
    else:
        before = "was before" if taken["repeated"] else "is now"
        say(f"The handoff of {taken['contact_id']} {before}: {taken['status']}.")


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    for name, value in found.items():
        if name != "summary" and value not in (None, "", {}, []):
            say(f"{name:<20} {value}")
    typer.echo("")
    for line in str(found["summary"]).split("\n"):
        say(line)


@handoff_commands.command("quality")
def quality(
    score: Annotated[str, typer.Argument(help="The score's name.")],
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Compare a score's grades and rules with what sales did with the leads; `scores quality` is the same.

    Example: perennial handoffs quality lead --since 90d
    """
    say_quality(score, since, until, as_json=as_json, url=url, key=key)
