"""The page and the email for salespeople in German."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="de",
    titles={
        "waiting": "Übernehmen Sie diesen Lead?",
        "accepted": "Sie haben diesen Lead übernommen",
        "rejected": "Dieser Lead wurde abgelehnt",
        "expired": "Niemand hat rechtzeitig geantwortet",
        "failed": "Die Aufgabe konnte nicht angelegt werden",
        "recycled": "Dieser Lead wurde zurückgegeben",
        "converted": "Dieser Lead ist Kunde geworden",
    },
    whose="Kontakt {contact}, für {salesperson} ({team}).",
    why="Grund: {reason}",
    until="Bitte antworten Sie bis {time}.",
    too_late="Für eine Übernahme ist es zu spät. Ihre Einschätzung hilft trotzdem.",
    kept="Ihre Antwort kommt zu spät, um noch etwas zu ändern, oder es gab schon eine andere. Sie wird als Rückmeldung aufbewahrt.",
    not_now="Diese Antwort ist jetzt nicht möglich: Der Lead wurde vorher nicht übernommen.",
    take="Ich übernehme",
    why_not="Warum nicht?",
    reject="Ablehnen",
    customer="Ist Kunde geworden",
    give_back="Zurückgeben",
    subject="Ein Lead für Sie: {reason}",
    link="Ihre Antwort:",
)
