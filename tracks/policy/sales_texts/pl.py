"""The page and the email for salespeople in Polish."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="pl",
    titles={
        "waiting": "Czy przejmuje Pan/Pani ten kontakt?",
        "accepted": "Kontakt został przejęty",
        "rejected": "Kontakt został odrzucony",
        "expired": "Nikt nie odpowiedział na czas",
        "failed": "Nie udało się utworzyć zadania",
        "recycled": "Kontakt został zwrócony",
        "converted": "Kontakt został klientem",
    },
    whose="Kontakt {contact}, dla: {salesperson} ({team}).",
    why="Powód: {reason}",
    until="Prosimy o odpowiedź do {time}.",
    too_late="Jest za późno, by przejąć kontakt. Opinia nadal jest pomocna.",
    kept="Odpowiedź przyszła za późno, by coś zmienić, albo była już inna. Zachowamy ją jako opinię.",
    not_now="Ta odpowiedź nie jest teraz możliwa: kontakt nie został wcześniej przejęty.",
    take="Przejmuję",
    why_not="Dlaczego nie?",
    reject="Odrzuć",
    customer="Został klientem",
    give_back="Zwróć",
    subject="Kontakt dla Ciebie: {reason}",
    link="Odpowiedź:",
)
