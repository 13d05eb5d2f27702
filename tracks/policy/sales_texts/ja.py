"""The page and the email for salespeople in Japanese."""

from __future__ import annotations

from tracks.policy.sales_texts.texts import SalesTexts

TEXTS = SalesTexts(
    language="ja",
    titles={
        "waiting": "この見込み客を担当しますか？",
        "accepted": "この見込み客を担当しています",
        "rejected": "この見込み客は却下されました",
        "expired": "期限内に回答がありませんでした",
        "failed": "タスクを作成できませんでした",
        "recycled": "この見込み客は戻されました",
        "converted": "この見込み客は顧客になりました",
    },
    whose="連絡先 {contact}、担当 {salesperson}（{team}）",
    why="理由：{reason}",
    until="{time} までにご回答ください。",
    too_late="担当するには遅すぎますが、ご意見は引き続き役立ちます。",
    kept="ご回答が遅かったか、すでに別の回答がありました。ご意見として保存します。",
    not_now="今はこの回答を選べません。この見込み客はまだ担当されていません。",
    take="担当する",
    why_not="却下の理由",
    reject="却下する",
    customer="顧客になった",
    give_back="戻す",
    subject="新しい見込み客：{reason}",
    link="ご回答：",
)
