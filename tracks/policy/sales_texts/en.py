"""The page and the email for salespeople in English."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="en",
    titles={
        "waiting": "Do you take this lead?",
        "accepted": "You have taken this lead",
        "rejected": "This lead was rejected",
        "expired": "Nobody answered in time",
        "failed": "The task could not be made",
        "recycled": "This lead was given back",
        "converted": "This lead is a customer",
    },
    whose="Contact {contact}, for {salesperson} ({team}).",
    why="Reason: {reason}",
    until="Answer until {time}.",
    too_late="It is too late to take the lead over. What you think of it still helps.",
    kept="Your answer comes too late to change anything, or another one came before. It is kept as feedback.",
    not_now="This lead cannot have that answer now: it was not accepted before.",
    take="I take it",
    why_not="Why not?",
    reject="Reject",
    customer="It became a customer",
    give_back="Give it back",
    subject="A lead for you: {reason}",
    link="Your answer:",
)
