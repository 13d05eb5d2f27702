"""The page and the email for salespeople in Portuguese."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="pt",
    titles={
        "waiting": "Fica com este contacto?",
        "accepted": "Ficou com este contacto",
        "rejected": "Este contacto foi rejeitado",
        "expired": "Ninguém respondeu a tempo",
        "failed": "Não foi possível criar a tarefa",
        "recycled": "Este contacto foi devolvido",
        "converted": "Este contacto é cliente",
    },
    whose="Contacto {contact}, para {salesperson} ({team}).",
    why="Motivo: {reason}",
    until="Responda até {time}.",
    too_late="É tarde para ficar com o contacto. A sua opinião continua a ser útil.",
    kept="A sua resposta chega tarde para mudar algo, ou já havia outra. Fica guardada como opinião.",
    not_now="Essa resposta não é possível agora: o contacto não foi aceite antes.",
    take="Fico com ele",
    why_not="Porque não?",
    reject="Rejeitar",
    customer="Tornou-se cliente",
    give_back="Devolver",
    subject="Um contacto para si: {reason}",
    link="A sua resposta:",
)
