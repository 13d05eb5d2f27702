"""The pages for contacts in Polish."""

from __future__ import annotations

from api.preference_texts.texts import Texts

TEXTS = Texts(
    language="pl",
    right_to_left=False,
    title="Twoje ustawienia",
    intro="Wybierz, co chcesz od nas otrzymywać. Zmiany działają od razu.",
    needed="Nadal będziesz otrzymywać niezbędne wiadomości, na przykład potwierdzenia zakupu.",
    channel={"email": "E-mail", "sms": "SMS"},
    receive={"email": "Otrzymuję e-maile", "sms": "Otrzymuję SMS-y"},
    topics="Tematy",
    pending="czeka na Twoje potwierdzenie",
    stopped_by_word="Nasze SMS-y zostały zatrzymane słowem STOP. Aby je znów otrzymywać, wyślij START na ten sam numer.",
    blocked="Obecnie nie piszemy na ten adres. Aby to zmienić, odpowiedz na jedną z naszych wiadomości.",
    save="Zapisz",
    leave="Wypisz mnie",
    leave_channel={"email": "Żadnych więcej e-maili od nas.", "sms": "Żadnych więcej SMS-ów od nas."},
    leave_topic={
        "email": "Żadnych więcej e-maili na temat „{topic}”.",
        "sms": "Żadnych więcej SMS-ów na temat „{topic}”.",
    },
    pause_title="Przerwa",
    pause="Wstrzymaj na 30 dni",
    pause_hint="Przez 30 dni nic nie przyjdzie. Potem znów obowiązuje Twój wybór.",
    paused="Wstrzymane do {date}.",
    resume="Zakończ przerwę",
    all_off_title="Wyłącz wszystko",
    all_off="Zatrzymaj wszystko",
    all_off_hint="Żadnych więcej e-maili ani SMS-ów od nas. Możesz wrócić na tę stronę i wybrać ponownie.",
    left="Subskrypcja została anulowana",
    left_channel={
        "email": "Nie będziesz już otrzymywać od nas e-maili.",
        "sms": "Nie będziesz już otrzymywać od nas SMS-ów.",
    },
    left_topic={
        "email": "Nie będziesz już otrzymywać e-maili na temat „{topic}”.",
        "sms": "Nie będziesz już otrzymywać SMS-ów na temat „{topic}”.",
    },
    saved="Twój wybór został zapisany",
    saved_hint="Obowiązuje od teraz, tak jak widać poniżej.",
    resumed="Przerwa się skończyła",
    resumed_hint="Twój wybór znów obowiązuje.",
    off="Wszystko jest wyłączone",
    off_hint="Nie będziesz już otrzymywać od nas e-maili ani SMS-ów.",
    confirm_title="Prosimy o potwierdzenie",
    confirm_text="Czy chcesz otrzymywać „{topic}”?",
    confirm="Tak, chcę",
    confirmed="Dziękujemy",
    confirmed_text="Subskrypcja „{topic}” została potwierdzona.",
    nothing_to_confirm="Nie ma nic do potwierdzenia",
    nothing_to_confirm_text="„{topic}” nie czeka na potwierdzenie. Zapisz się ponownie, jeśli chcesz to otrzymywać.",
    unknown="Ten link nie działa",
    unknown_text="Być może został ucięty albo nie mamy już Twoich danych. Otwórz cały link z wiadomości albo na nią odpowiedz.",
)
