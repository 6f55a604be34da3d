"""The site of the documentation is built without a warning."""

import pytest

from pipelines import site


def test_the_site_is_built_from_every_page_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="no sphinx: pip install 'dimmagen[site]'")
    assert site.build(tmp_path / "site") == 0
    pages = {path.with_suffix(".html") for path in site.shown_files() if path.suffix == ".md"}
    assert pages
    assert not [page for page in pages if not (tmp_path / "site" / page).exists()]
    assert "Start" in (tmp_path / "site/index.html").read_text(encoding="utf-8")
