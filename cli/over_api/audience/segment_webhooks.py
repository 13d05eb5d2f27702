"""Commands about the webhooks that segments are sent on to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.shared.common import Key, Url, ask_api, fail
from cli.shared.printing import Json, say, say_json, say_table

webhook_commands = typer.Typer(help="Webhooks that a segment is sent on to.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The segment's name.")]
Webhook = Annotated[str, typer.Argument(help="The webhook's name.")]


@webhook_commands.command("list")
def list_webhooks(segment: Name, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List a segment's webhooks and how they are doing.

    Example: perennial segments webhooks list vip
    """
    found = ask_api(url, key, "GET", f"/v1/segments/{segment}/webhooks")["webhooks"]
    if as_json:
        say_json(found)
        return
    rows = [[one["webhook"], one["url"], _state(one), one["waiting"], one["delivered"]] for one in found]
    heads = ["webhook", "address", "state", "waiting", "delivered"]
    say_table(heads, rows, empty=f"{segment} is sent to no webhook.")


@webhook_commands.command("set")
def set_webhook(
    segment: Name,
    webhook: Webhook,
    to: Annotated[str, typer.Argument(help="The address that is called.")],
    fields: Annotated[
        list[str] | None, typer.Option("--field", help="A field that is sent: email_sha256, attributes.plan, …")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--change", help="A field whose change alone is sent too, of a member.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Contacts of one call, at most.")] = 100,
    wait: Annotated[str, typer.Option(help="How long a change waits for others of its call.")] = "5s",
    url: Url = None,
    key: Key = None,
) -> None:
    """Send a segment on to a webhook, or change how. A new one's secret is printed this once.

    Example: perennial segments webhooks set vip ads https://hooks.acme.example/vip --field email_sha256
    """
    body = {"url": to, "fields": fields or [], "changes": changes or [], "batch": batch, "wait": wait}
    _say_secret(ask_api(url, key, "PUT", f"/v1/segments/{segment}/webhooks/{webhook}", body))


@webhook_commands.command()
def pause(segment: Name, webhook: Webhook, url: Url = None, key: Key = None) -> None:
    """Send nothing until it is resumed; what changes waits.

    Example: perennial segments webhooks pause vip ads
    """
    _switch(segment, webhook, url, key, paused=True)


@webhook_commands.command()
def resume(segment: Name, webhook: Webhook, url: Url = None, key: Key = None) -> None:
    """Go on with a webhook that is paused, by hand or by itself; what waits is sent.

    Example: perennial segments webhooks resume vip ads
    """
    _switch(segment, webhook, url, key, paused=False)


@webhook_commands.command("send-all")
def send_all(segment: Name, webhook: Webhook, url: Url = None, key: Key = None) -> None:
    """Send all members once more, for a receiver that has lost what it was told.

    Example: perennial segments webhooks send-all vip ads
    """
    ask_api(url, key, "POST", f"/v1/segments/{segment}/webhooks/{webhook}/send-all")
    say(f"All members of {segment} are sent to {webhook}.")


@webhook_commands.command()
def delete(segment: Name, webhook: Webhook, url: Url = None, key: Key = None) -> None:
    """Send nothing more to a webhook, and delete what waits.

    Example: perennial segments webhooks delete vip ads
    """
    ask_api(url, key, "DELETE", f"/v1/segments/{segment}/webhooks/{webhook}")
    say(f"{segment} is sent to {webhook} no more.")


def _switch(segment: str, webhook: str, url: str | None, key: str | None, *, paused: bool) -> None:
    path = f"/v1/segments/{segment}/webhooks/{webhook}"
    now = ask_api(url, key, "GET", path)
    body = {name: now[name] for name in ("url", "fields", "changes", "batch", "wait")} | {"paused": paused}
    put = ask_api(url, key, "PUT", path, body)
    if put["secret"]:  # somebody has deleted it in between
        fail(f"{webhook} was deleted meanwhile, and is made anew. Its new secret: {put['secret']}")
    say(f"{segment} → {webhook}: {_state(put)}, {put['waiting']:,} waiting.")


def _say_secret(put: dict[str, Any]) -> None:
    say(f"{put['segment']} → {put['webhook']}: {_state(put)}")
    if put["secret"]:
        say(f"Secret (shown this once): {put['secret']}")


def _state(one: dict[str, Any]) -> str:
    since = f" since {str(one['since'])[:19].replace('T', ' ')}" if one["since"] else ""
    why = one["last_error"] or (one["paused"] if one["paused"] != "by hand" else "")
    return f"{one['state']}{since}" + (f" ({why})" if why else "")
