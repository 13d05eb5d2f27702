"""The page and the email for salespeople in Arabic."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="ar",
    titles={
        "waiting": "هل تتولى هذا العميل المحتمل؟",
        "accepted": "لقد توليت هذا العميل المحتمل",
        "rejected": "رُفض هذا العميل المحتمل",
        "expired": "لم يجب أحد في الوقت المحدد",
        "failed": "تعذر إنشاء المهمة",
        "recycled": "أُعيد هذا العميل المحتمل",
        "converted": "أصبح هذا العميل المحتمل عميلًا",
    },
    whose="جهة الاتصال {contact}، إلى {salesperson} ({team}).",
    why="السبب: {reason}",
    until="يرجى الإجابة قبل {time}.",
    too_late="فات الأوان لتولي هذا العميل المحتمل. لكن رأيك ما زال مفيدًا.",
    kept="وصلت إجابتك متأخرة، أو سبقتها إجابة أخرى. سنحتفظ بها كرأي.",
    not_now="هذه الإجابة غير ممكنة الآن: لم يتولَّ أحد هذا العميل المحتمل من قبل.",
    take="أتولاه",
    why_not="لماذا لا؟",
    reject="رفض",
    customer="أصبح عميلًا",
    give_back="إعادته",
    subject="عميل محتمل لك: {reason}",
    link="إجابتك:",
)
