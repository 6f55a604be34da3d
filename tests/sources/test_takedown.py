from dimmagen.sources.takedown import Listed, Takedown


def test_a_list_that_another_system_wrote_names_the_same_photos():
    candidates = [Listed("folder", "sub/e\u0301.png", "a" * 64, ()), Listed("folder", "e.png", "b" * 64, ())]
    for line in ("sub/\u00e9.png", "sub/e\u0301.png", "sub\\\u00e9.png"):
        found = Takedown([line, "nowhere.png"], candidates)
        assert found.photos == {"a" * 64}
        assert found.unknown == ["nowhere.png"]
