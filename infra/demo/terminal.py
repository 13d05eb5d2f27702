"""The demo on the terminal: a live view of the crowd, then the table, the check of the laws, the addresses."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from pathlib import Path
from urllib.parse import quote

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infra.api_client.publishing import publish, read_folder
from infra.demo.audit import Findings, Stuck, audit
from infra.demo.clients import DemoClients
from infra.demo.crowd import Crowd
from infra.demo.progress import SavedProgress
from infra.demo.salespeople import Salespeople
from infra.demo.sample_contacts import draw_people
from infra.launch.errors import LaunchError

PATIENCE = 300.0
FILLED_WITHIN = 60.0
STORIES = 6
PLAIN_EVERY = 5.0  # seconds between lines if the output is no terminal


class Demo:
    """Publishes the library, runs the crowd, prints the result."""

    def __init__(
        self,
        *,
        api: str,
        key: str,
        sandbox: str,
        library: Path,
        progress: Path,
        console: Console,
        seed: int,
        pace: float,
        contacts: int,
        stuck: Stuck,
    ) -> None:
        self.api, self.key, self.sandbox = api, key, sandbox
        self.library = library
        self.console = console
        self.stuck = stuck
        self.progress = SavedProgress(progress, seed, pace, contacts)
        self.stories: deque[str] = deque(maxlen=STORIES)

    async def run(self) -> int:
        """Run the demo. Returns 0, or 1 if a law was broken, and prints which one. Raises LaunchError if the API
        refuses the library."""
        await asyncio.to_thread(self._publish)
        people = draw_people(self.progress.seed, self.progress.today, self.progress.contacts)
        clients = DemoClients(self.api, self.key, self.sandbox)
        crowd = Crowd(clients, self.progress, people, self.stories.append)
        sales = Salespeople(clients, self.progress.seed, self.stories.append)
        try:
            if self.progress.continued:
                self.console.print(f"Going on with {len(people)} sample contacts where they were.\n")
            else:
                await self._audience_is_live(clients)
                await crowd.introduce()
                pace = f"{self.progress.pace / 86_400:g}"
                days = "day" if pace == "1" else "days"
                self.console.print(f"{len(people)} sample contacts live {pace} {days} a second.\n")
            selling = asyncio.create_task(sales.work())
            try:
                await self._watch(crowd)
            finally:
                selling.cancel()
                await asyncio.gather(selling, return_exceptions=True)
            findings = await audit(clients, self.progress, crowd.people, crowd.acts, self.stuck)
        finally:
            await clients.close()
        findings.broken[:0] = [*crowd.problems, *sales.problems]
        self._tell(findings, sales.tally)
        return 1 if findings.broken else 0

    def _publish(self) -> None:
        documents = read_folder(self.library)
        with httpx.Client(
            base_url=self.api, headers={"authorization": f"Bearer {self.key}"}, timeout=30, trust_env=False
        ) as client:
            answer = publish(client, documents)
        if answer.problems:
            raise LaunchError("The library was refused: " + "; ".join(answer.problems))
        counts = Counter(document.kind for document in documents)
        tracks = [document.name for document in documents if document.kind == "track"]
        others = ", ".join(
            f"{counts[kind]} {kind}{'' if counts[kind] == 1 else 's'}" for kind in ("segment", "score", "template")
        )
        self.console.print(f"Published the policy, {len(tracks)} tracks ({', '.join(tracks)}), {others}.")

    async def _audience_is_live(self, clients: DemoClients) -> None:
        """Wait for the first filling: those who are members when it ends enter no track (`existing: ignore`)."""
        waiting = await clients.audience()
        deadline = time.monotonic() + FILLED_WITHIN
        while waiting := [path for path in waiting if not await clients.is_live(path)]:
            if time.monotonic() > deadline:
                raise LaunchError(f"These were not filled in {FILLED_WITHIN:g} s: {', '.join(waiting)}.")
            await asyncio.sleep(0.2)

    async def _watch(self, crowd: Crowd) -> None:
        """Show the live view."""
        living = asyncio.create_task(crowd.live(PATIENCE))
        try:
            if self.console.is_terminal:
                with Live(self._view(crowd), console=self.console, refresh_per_second=8, transient=True) as live:
                    while not living.done():
                        await asyncio.wait([living], timeout=0.2)
                        live.update(self._view(crowd))
            else:
                while not living.done():
                    await asyncio.wait([living], timeout=PLAIN_EVERY)
                    self.console.print(self._one_line(crowd))
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
        if not living.cancelled():
            living.result()

    def _one_line(self, crowd: Crowd) -> str:
        total: Counter[str] = Counter()
        for tally in crowd.tally.values():
            total.update(tally)
        return f"  day {crowd.day:3.0f}: " + ", ".join(f"{count} {status}" for status, count in sorted(total.items()))

    def _view(self, crowd: Crowd) -> RenderableType:
        view = Table(box=None, pad_edge=False, padding=(0, 2))
        view.add_column(f"day {crowd.day:.0f}", style="bold")
        for heading in ("on their way", "converted", "exited", "completed"):
            view.add_column(heading, justify="right")
        for track, tally in sorted(crowd.tally.items()):
            view.add_row(track, *(str(tally[status]) for status in ("active", "converted", "exited", "completed")))
        stories = [Text(f"  {story}", style="dim") for story in self.stories]
        return Group(view, Text(), *stories)

    def _tell(self, findings: Findings, sales: Counter[str]) -> None:
        view = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        view.add_column("track", no_wrap=True)
        for heading in ("enrolled", "email", "SMS", "converted", "exited", "completed", "still\nwaiting"):
            view.add_column(heading, justify="right", no_wrap=True)
        for track, line in findings.lines.items():
            counts = (
                line.enrolled,
                line.messages["email"],
                line.messages["sms"],
                line.statuses["converted"],
                line.statuses["exited"],
                line.statuses["completed"],
                line.statuses["active"],
            )
            view.add_row(track, *map(str, counts))
        self.console.print(view)
        if sales:
            said = ", ".join(f"{count} {answer}" for answer, count in sorted(sales.items()))
            self.console.print(f"Leads handed over to sales: {sales.total()} ({said}).")
        for sentence in findings.broken:
            self.console.print(Text(f"✗ {sentence}", style="red"))
        if not findings.broken:
            self.console.print("[green]✓[/] Nobody is stuck, no event was lost, no message went out twice.")


def show_addresses(console: Console, api: str, sandbox: str, ui: str | None, namespace: str, key: str) -> None:
    """Print the addresses of the API, the sandbox and Temporal UI."""
    query = quote('WorkflowType="NurtureTrack"')
    places = [
        ("Temporal UI", f"{ui}/namespaces/{namespace}/workflows?query={query}" if ui else "your own Temporal's"),
        ("", f".venv/bin/perennial ui-links{'' if ui else ' --ui ADDRESS'} prints more of its lists"),
        ("Inbox", sandbox),
        ("API docs", f"{api}/docs"),
        ("API key", key),
    ]
    console.print()
    for name, place in places:
        console.print(f"  [bold]{name:<12}[/] {place}", soft_wrap=True)
