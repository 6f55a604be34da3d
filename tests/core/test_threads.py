"""Threads of our own."""

import threading

import pytest

from dimmagen.core import threads


def test_in_threads_is_map(monkeypatch):
    monkeypatch.setattr(threads, "processor_count", lambda: 3)
    assert threads.in_threads(pow, range(50), [2] * 50) == [number**2 for number in range(50)]
    assert threads.in_threads(abs, []) == []


def test_in_threads_uses_the_processors(monkeypatch):
    monkeypatch.setattr(threads, "processor_count", lambda: 3)
    together = threading.Barrier(3, timeout=60)  # which ends when three wait at once
    threads.in_threads(lambda _: together.wait(), range(3))


def test_in_threads_needs_arguments_of_one_length():
    with pytest.raises(ValueError, match="shorter"):
        threads.in_threads(pow, [1, 2], [1])
