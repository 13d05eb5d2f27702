"""The page and the email for salespeople in Dutch."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="nl",
    titles={
        "waiting": "Neemt u deze lead?",
        "accepted": "U hebt deze lead genomen",
        "rejected": "Deze lead is afgewezen",
        "expired": "Niemand heeft op tijd geantwoord",
        "failed": "De taak kon niet worden gemaakt",
        "recycled": "Deze lead is teruggegeven",
        "converted": "Deze lead is klant geworden",
    },
    whose="Contact {contact}, voor {salesperson} ({team}).",
    why="Reden: {reason}",
    until="Antwoord vóór {time}.",
    too_late="Het is te laat om de lead over te nemen. Uw mening helpt nog steeds.",
    kept="Uw antwoord komt te laat om iets te veranderen, of er was al een ander. Het wordt bewaard als feedback.",
    not_now="Dat antwoord kan nu niet: de lead is niet eerder genomen.",
    take="Ik neem hem",
    why_not="Waarom niet?",
    reject="Afwijzen",
    customer="Is klant geworden",
    give_back="Teruggeven",
    subject="Een lead voor u: {reason}",
    link="Uw antwoord:",
)
