"""What names begin with: all that are chosen are found by it, and no others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from functions.beginnings import beginnings

NAMES = st.sets(st.text("ab/", min_size=1, max_size=6), max_size=30)


@given(NAMES, NAMES)
def test_every_chosen_name_is_found_and_no_other_that_is_known(chosen: set[str], known: set[str]) -> None:
    found = beginnings(chosen, known)
    assert all(any(name.startswith(text) for text in found) for name in chosen)
    caught = {name for name in known - chosen if any(name.startswith(text) for text in found)}
    assert all(any(name.startswith(one) for one in chosen) for name in caught)
    assert len(found) <= len(chosen)


@given(NAMES)
def test_one_text_finds_all_that_there_is(known: set[str]) -> None:
    assert len(beginnings(known, known)) == min(len(known), 1)


def test_neighbours_are_asked_for_together() -> None:
    known = [f"lab/VPC/default/vpc-{number:03}" for number in range(100)]
    assert beginnings(known[20:45], known) == [
        "lab/VPC/default/vpc-02",
        "lab/VPC/default/vpc-03",
        *(f"lab/VPC/default/vpc-04{digit}" for digit in range(5)),
    ]
    assert beginnings(known[7:8], known) == [known[7]]
    assert beginnings([], known) == []
