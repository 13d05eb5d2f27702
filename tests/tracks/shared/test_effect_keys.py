from tracks.shared.effect_keys import effect_key


def test_effect_keys_keep_exactly_this_shape() -> None:
    assert effect_key("0190-aa", "welcome", 3) == "0190-aa/welcome/3"
