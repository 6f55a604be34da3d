"""What is said of a package that a feature needs."""

import sys

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.core.optional_packages import missing_package
from dimmagen.core.storage.s3 import S3


@pytest.fixture
def without_s3fs(monkeypatch):
    """No s3fs has been imported in this process."""
    for name in [name for name in sys.modules if name.split(".")[0] == "s3fs"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_package_that_is_missing_is_named_with_its_extra(without_s3fs, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UsageError) as caught:
        S3()
    assert str(caught.value) == "s3:// URLs need the package s3fs: pip install 'dimmagen[s3]'"
    assert caught.value.code == "missing-package"
    assert caught.value.fields["package"] == "s3fs"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import botocore_of_another_time", "No module named 'botocore_of_another_time'"),
        ("raise ValueError('numpy.dtype size changed')", "numpy.dtype size changed"),
        ("from fsspec import what_it_had_once", "cannot import name 'what_it_had_once' from 'fsspec'"),
    ],
)
def test_a_package_that_is_there_and_fails_is_told_with_the_reason(
    content, reason, without_s3fs, tmp_path, monkeypatch
):
    (tmp_path / "s3fs.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError) as caught:
        S3()
    assert f"the package s3fs, which is installed but fails ({reason}" in str(caught.value)
    assert str(caught.value).endswith("pip install --upgrade 'dimmagen[s3]'")
    assert caught.value.code == "missing-package"


def test_what_can_be_done_instead_is_a_way_of_its_own():
    """A command without the argument leaves it out."""
    error = missing_package("it needs", "a", "b", ModuleNotFoundError(name="a"), "use `one`")
    assert str(error) == "it needs the package a: pip install 'dimmagen[b]', or use `one`"
    assert error.todo.only(lambda way: "`" not in way) == "pip install 'dimmagen[b]'"
