"""Commands about leads that were handed over to sales."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.over_api.lists import Contact, Csv, Limit, Listing, Since, Track, Until, at, field, moment, show
from cli.shared.common import Key, Url, ask_api
from cli.shared.printing import Json, say, say_json, say_table

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
    """Compare a score's grades and rules with what sales did with the leads.

    Example: perennial handoffs quality lead --since 90d
    """
    asked = {"score": score, "since": moment(since), "until": moment(until)}
    params = {name: value for name, value in asked.items() if value is not None}
    found = ask_api(url, key, "GET", "/v1/handoffs/quality", params=params)
    if as_json:
        say_json(found)
        return
    heads = ["grade", "answered", "accepted", "became customers", "unanswered"]
    rows = [
        [
            one["grade"],
            one["leads"]["accepted"] + one["leads"]["rejected"],
            _percent(one["accepted"]),
            _percent(one["converted"]),
            one["leads"]["unanswered"],
        ]
        for one in found["grades"]
    ]
    say_table(heads, rows, empty=f"No lead was handed over with a score '{score}'.")
    for one in found["grades"]:
        if late := one["late"]["accepted"] + one["late"]["rejected"]:
            say(f"{one['grade']}: {late} unanswered leads were answered later, {one['late']['accepted']} with yes")
        if chosen := one["explored"]:
            answered = chosen["leads"]["accepted"] + chosen["leads"]["rejected"]
            say(f"{one['grade']}, handed over by chance: {answered} answered, accepted {_percent(chosen['accepted'])}")
    for one in found["rules"]:
        gap = one["more_accepted"]
        between = f"between {100 * gap['low']:.0f} and {100 * gap['high']:.0f} points more accepted"
        say(f"{one['rule']} ({one['points']:+g}): {one['verdict']}; {between}")


def _percent(share: dict[str, float]) -> str:
    return f"{100 * share['estimate']:.0f} % ({100 * share['low']:.0f} to {100 * share['high']:.0f})"
