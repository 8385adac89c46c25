"""The worked examples of the lectures, as programs; nothing imports them but tests."""
