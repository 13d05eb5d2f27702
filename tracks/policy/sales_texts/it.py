"""The page and the email for salespeople in Italian."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="it",
    titles={
        "waiting": "Prende questo contatto?",
        "accepted": "Ha preso questo contatto",
        "rejected": "Questo contatto è stato rifiutato",
        "expired": "Nessuno ha risposto in tempo",
        "failed": "Non è stato possibile creare l’attività",
        "recycled": "Questo contatto è stato restituito",
        "converted": "Questo contatto è diventato cliente",
    },
    whose="Contatto {contact}, per {salesperson} ({team}).",
    why="Motivo: {reason}",
    until="Risponda entro il {time}.",
    too_late="È tardi per prendere il contatto. La Sua opinione è comunque utile.",
    kept="La Sua risposta arriva tardi per cambiare qualcosa, o ce n’era già un’altra. Viene conservata come opinione.",
    not_now="Questa risposta ora non è possibile: il contatto non era stato preso.",
    take="Lo prendo",
    why_not="Perché no?",
    reject="Rifiuta",
    customer="È diventato cliente",
    give_back="Restituisci",
    subject="Un contatto per Lei: {reason}",
    link="La Sua risposta:",
)
