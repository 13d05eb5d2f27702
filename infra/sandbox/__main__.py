"""`python -m infra.sandbox`: start the provider sandbox on a loopback port.

Twilio's token comes from PERENNIAL_TWILIO_AUTH_TOKEN, Stripe's secret from PERENNIAL_STRIPE_WEBHOOK_SECRET and
HubSpot's from PERENNIAL_HUBSPOT_CLIENT_SECRET (of several the first), because every user of a machine can read its
command lines.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from infra.sandbox.app import create_app
from infra.sandbox.core.journal import JournalInUse
from infra.sandbox.core.options import HUBSPOT_SECRET, STRIPE_SECRET, TWILIO_TOKEN, Options
from infra.sandbox.server import listen, serve


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped. If it cannot start, print one sentence to stderr and return 1."""
    parser = argparse.ArgumentParser(prog="python -m infra.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8025, help="0 takes any free port; the first line says which")
    parser.add_argument("--data", type=Path, default=Path(".perennial/sandbox"), help="journal and signing key")
    parser.add_argument("--base-url", help="where clients reach the sandbox, if not at http://127.0.0.1:<port>")
    parser.add_argument("--callback-base", help="the application's base address; events go to <base>/webhooks/…")
    parser.add_argument("--verify-domain", action="append", default=[], help="may send email; repeatable")
    parser.add_argument("--configuration-set", action="append", help="exists from the start; default: perennial")
    parser.add_argument("--no-tracking", action="store_true", help="that set publishes neither opens nor clicks")
    parser.add_argument("--sns-signature-version", choices=("1", "2"), default=Options.signature_version)
    parser.add_argument("--delivery-delay", type=float, default=Options.delivery_delay, help="seconds")
    given = parser.parse_args(arguments)
    try:
        sock = listen(given.port)
    except OSError as problem:
        print(f"The sandbox cannot listen on 127.0.0.1:{given.port}: {problem.strerror}.", file=sys.stderr)
        return 1
    base_url = given.base_url or f"http://127.0.0.1:{sock.getsockname()[1]}"
    options = Options(
        data=given.data,
        base_url=base_url.rstrip("/"),
        callback_base=given.callback_base.rstrip("/") if given.callback_base else None,
        twilio_auth_token=os.environ.get(TWILIO_TOKEN) or Options.twilio_auth_token,
        stripe_webhook_secret=_first(STRIPE_SECRET) or Options.stripe_webhook_secret,
        hubspot_client_secret=_first(HUBSPOT_SECRET) or Options.hubspot_client_secret,
        verified_domains=tuple(domain.lower() for domain in given.verify_domain),
        configuration_sets=tuple(given.configuration_set or ("perennial",)),
        tracking=not given.no_tracking,
        signature_version=given.sns_signature_version,
        delivery_delay=given.delivery_delay,
    )
    try:
        app = create_app(options)
    except (JournalInUse, OSError) as problem:
        print(f"The sandbox cannot start: {problem}.", file=sys.stderr)
        return 1
    print(f"sandbox listening on {base_url}", flush=True)
    serve(app, sock)
    return 0


def _first(variable: str) -> str:
    """The first of the values in a variable that holds several, separated by commas; empty if there is none."""
    return os.environ.get(variable, "").split(",")[0].strip()


if __name__ == "__main__":
    sys.exit(main())
