"""The page and the email for salespeople in French."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="fr",
    titles={
        "waiting": "Prenez-vous ce prospect ?",
        "accepted": "Vous avez pris ce prospect",
        "rejected": "Ce prospect a été refusé",
        "expired": "Personne n’a répondu à temps",
        "failed": "La tâche n’a pas pu être créée",
        "recycled": "Ce prospect a été rendu",
        "converted": "Ce prospect est devenu client",
    },
    whose="Contact {contact}, pour {salesperson} ({team}).",
    why="Motif : {reason}",
    until="Répondez avant le {time}.",
    too_late="Il est trop tard pour prendre ce prospect. Votre avis reste utile.",
    kept="Votre réponse arrive trop tard pour changer quoi que ce soit, ou une autre l’a précédée. Elle est conservée comme avis.",
    not_now="Cette réponse n’est pas possible maintenant : le prospect n’a pas été pris auparavant.",
    take="Je le prends",
    why_not="Pourquoi pas ?",
    reject="Refuser",
    customer="Est devenu client",
    give_back="Le rendre",
    subject="Un prospect pour vous : {reason}",
    link="Votre réponse :",
)
