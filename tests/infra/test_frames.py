"""What is said comes out as it went in, in whatever pieces it arrives; what may not be said does not come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.frames import MOST_BYTES, BrokenFrames, Frame, Frames, Kind, TooLarge

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FRAMES = st.builds(
    Frame, st.sampled_from(Kind), st.none() | st.dictionaries(st.text(), JSON, max_size=4), st.text(), st.text()
)


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(1, 50), min_size=1))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(frames: list[Frame], sizes: list[int]) -> None:
    stream, reader, out = b"".join(frame.encode("it") for frame in frames), Frames(), []
    at = piece = 0
    while at < len(stream):
        size = sizes[piece % len(sizes)]
        out += reader.feed(stream[at : at + size])
        at, piece = at + size, piece + 1
    assert out == frames


@given(st.binary(max_size=200))
def test_whatever_bytes_come_they_are_frames_or_broken(raw: bytes) -> None:
    try:
        assert all(isinstance(frame, Frame) for frame in Frames().feed(raw))
    except BrokenFrames as broken:
        assert str(broken)  # and nothing else is raised


def test_an_announcement_of_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(BrokenFrames, match="nobody may send"):
        list(Frames().feed((2).to_bytes(4) + (MOST_BYTES + 1).to_bytes(4)))


def test_messages_are_counted_together() -> None:
    reader, message = Frames(), Frame(Kind.MESSAGE, {"text": "x" * (MOST_BYTES // 4)}).encode("it")
    for _ in range(3):
        assert len(list(reader.feed(message))) == 1
    with pytest.raises(BrokenFrames, match="messages of more than"):
        list(reader.feed(message))


def test_a_deeply_nested_body_is_broken_and_nothing_worse() -> None:
    head, body = b'["message","",""]', b'{"a":' + b"[" * 100_000
    with pytest.raises(BrokenFrames):
        list(Frames().feed(len(head).to_bytes(4) + len(body).to_bytes(4) + head + body))


def test_a_text_of_any_length_and_script_fits_its_frame() -> None:
    frame = Frame(Kind.RAISED, None, "\U0001f600" * 100_000, "\U0001f600" * 100_000)
    (read,) = Frames().feed(frame.encode("it"))
    assert (len(read.text), len(read.trace)) == (4096, 16_384)


def test_what_is_too_large_is_named() -> None:
    with pytest.raises(TooLarge, match="the result has"):
        Frame(Kind.RETURNED, {"text": "x" * MOST_BYTES}).encode("the result")
