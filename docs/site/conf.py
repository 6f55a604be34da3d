"""Sphinx's configuration of the site; `make site` applies it to a copy of the pages (pipelines/site.py)."""

project = "dimmagen"
extensions = ["myst_parser"]
root_doc = "README"
highlight_language = "text"  # of blocks that name none: what commands print
html_theme = "furo"
html_title = "dimmagen"
html_theme_options = {"light_css_variables": {"code-font-size": "75%"}}
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_show_copyright = False
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # the README's picture stands between headings
