"""The page and the email for salespeople in Spanish."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="es",
    titles={
        "waiting": "¿Se queda con este contacto?",
        "accepted": "Se ha quedado con este contacto",
        "rejected": "Este contacto fue rechazado",
        "expired": "Nadie respondió a tiempo",
        "failed": "No se pudo crear la tarea",
        "recycled": "Este contacto fue devuelto",
        "converted": "Este contacto ya es cliente",
    },
    whose="Contacto {contact}, para {salesperson} ({team}).",
    why="Motivo: {reason}",
    until="Responda antes del {time}.",
    too_late="Es tarde para quedarse con el contacto. Su opinión sigue siendo útil.",
    kept="Su respuesta llega tarde para cambiar algo, o ya había otra. Se guarda como opinión.",
    not_now="Esa respuesta no es posible ahora: el contacto no fue aceptado antes.",
    take="Me lo quedo",
    why_not="¿Por qué no?",
    reject="Rechazar",
    customer="Se hizo cliente",
    give_back="Devolver",
    subject="Un contacto para usted: {reason}",
    link="Su respuesta:",
)
