"""Places that cannot keep what is written."""

import pytest

from dimmagen import build_mixhq, make_dataset, make_subset
from dimmagen.core import storage
from dimmagen.core.errors import UsageError
from dimmagen.core.outputs import refuse_unsuitable


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("memory://x", "is lost when it ends"),
        ("MEMORY://x", "is lost when it ends"),
        ("dir::memory://x", "is lost when it ends"),
        ("simplecache::s3://bucket/x", "is behind a cache"),
        ("http://localhost/x", "cannot be written to"),
        ("zip://x::file:///tmp/a.zip", "cannot be written to"),
        ("tar:///tmp/a.tar", "cannot be written to"),
        ("github://owner:repo@main/x", "cannot be written to"),
        ("data://x", "cannot be written to"),
        ("nosuch://x", "Protocol not known"),
        ("dbfs://x", "cannot be opened"),  # needs more than a URL
        ("async_wrapper://x", "cannot be opened"),
    ],
)
def test_a_place_that_cannot_keep_a_file_is_a_usage_error(url, reason):
    assert not storage.is_local(url)
    with pytest.raises(UsageError, match=reason) as caught:
        refuse_unsuitable(url)
    assert caught.value.fields == {"path": url}


@pytest.mark.parametrize(
    "place", ["out", "file:///tmp/out", "local:///tmp/out", "s3://bucket/out", "memory:x"]
)
def test_other_places_are_not_looked_at(place):
    refuse_unsuitable(place)


def test_the_memory_of_a_process_is_a_place_for_that_process_alone(tmp_path):
    refuse_unsuitable("memory://x", in_process=True)
    absent = tmp_path / "absent"
    with pytest.raises(UsageError, match="is lost when it ends"):  # each worker would have its own
        make_dataset("linear", absent, "memory://x", executor="ray")
    with pytest.raises(UsageError, match="absent"):
        make_dataset("linear", absent, "memory://x")
    with pytest.raises(UsageError, match="cannot be written to"):
        build_mixhq(absent, "https://localhost/x")
    with pytest.raises(UsageError, match="cannot be written to"):
        make_subset(absent, "https://localhost/x")
