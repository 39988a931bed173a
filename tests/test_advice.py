"""How the tests read advice out of a sentence."""

from tests.support.advice import advised


def test_advice_is_found_in_a_sentence() -> None:
    """The first expression after the word, and none that names what is not there."""
    assert list(advised("x=1 must be a list, such as ['a']", "x")) == [["a"]]
    assert list(advised("x='' must be known: write 'a', 'b' or 'c'", "x")) == ["a"]
    assert list(advised("x=1 is wrong: write x=['a'], or leave it out", "x")) == [["a"]]
    assert list(advised("x=1: write KeyFile('a')", "x")) == []
    assert list(advised("x=1: write something else", "x")) == []
