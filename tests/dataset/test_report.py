"""The page of `inspect --html`, in a real browser."""

import base64
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from dimmagen.cli import main
from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.report import CROP_SIDE, CROPS, report_page
from dimmagen.dataset.sheet import choose_rows, spread_over_lightness
from dimmagen.images.cropping import center_crop

# Simulates a user and records what the page shows; the result is read from the page's title.
DRIVER = """<script>
const seen = [];
const note = (what) => seen.push(what);
const shown = () => [...document.querySelectorAll(".pair")].filter((pair) => pair.checkVisibility()).length;
const set = (id, value) => { $(id).value = value; $("controls").dispatchEvent(new Event("input")); };
addEventListener("load", () => {
  note(`shown ${shown()}`);
  note(`wide ${document.querySelector(".pair .dark").naturalWidth > 0}`);
  set("gain", 3);
  note(getComputedStyle(document.querySelector(".pair .dark")).filter);
  set("gamma-low", 1); note(`bright ${shown()}`); set("gamma-low", "");
  set("lightness-high", 0); note(`black ${shown()}`); set("lightness-high", "");
  set("source", "folder"); note(`folder ${shown()}`);
  document.querySelector(".pair button").click();
  note(`open ${$("comparer").open}`);
  $("at").value = 25; $("at").oninput();
  note(getComputedStyle(document.querySelector(".compare .dark")).clipPath);
  note(document.querySelector("dialog td").textContent);
  document.title = seen.join(" | ");
});
</script>"""


@pytest.fixture(scope="module")
def page(pair_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    with pytest.raises(SystemExit) as end:
        main(["inspect", str(pair_set), "--html", str(path)])
    assert end.value.code == 0
    return path


def browse(*arguments) -> str:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    return subprocess.run(
        [browser, *options, *map(str, arguments)], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_the_page_filters_brightens_and_compares_in_a_browser(page, pair_set, tmp_path):
    driven = tmp_path / "driven.html"
    driven.write_text(page.read_text().replace("</body>", f"{DRIVER}</body>"))
    title = re.search("<title>(.*?)</title>", browse("--dump-dom", driven.as_uri()))[1]
    rows = open_pairs(pair_set).rows()
    bright = sum(row["gamma"] >= 1 for row in rows)
    first = spread_over_lightness(choose_rows([open_pairs(pair_set).table], 1, 48))[0]["key"]
    assert title.split(" | ") == [
        "shown 12", "wide true", "brightness(8)", f"bright {bright}", "black 0", "folder 12", "open true",
        "inset(0px 0px 0px 25%)", first,
    ]  # fmt: skip
    assert 0 < bright < 12


def test_the_page_shows_images_and_plots(page, tmp_path):
    screenshot = tmp_path / "page.png"
    browse(f"--screenshot={screenshot}", "--window-size=1200,1500", page.as_uri())
    pixels = np.asarray(Image.open(screenshot).convert("RGB")).astype(int)
    blue = np.all(abs(pixels - [37, 99, 168]) < 12, axis=2)
    assert blue[:300].sum() > 3000  # the bars of the plots
    colourful = np.ptp(pixels[450:], axis=2) > 60
    assert colourful.mean() > 0.03  # the light images
    assert (pixels[450:].max(2) < 60).mean() > 0.03  # the dark ones


def test_every_beginning_of_the_page_spreads_over_the_brightness():
    rows = [{"key": f"k{level:02}", "lightness_after": level / 100} for level in range(31)]
    order = [round(100 * row["lightness_after"]) for row in spread_over_lightness(rows[::-1])]
    assert order[:7] == [15, 7, 23, 3, 11, 19, 27]
    assert sorted(order) == list(range(31))
    assert spread_over_lightness([]) == []


def test_the_page_has_the_middle_of_some_pairs_at_full_size(page, pair_set):
    [text] = re.findall('<script type="application/json" id="pairs">(.*?)</script>', page.read_text())
    shown, pairs = json.loads(text), open_pairs(pair_set)
    assert ["dark_crop" in one for one in shown] == [True] * CROPS + [False] * (12 - CROPS)
    for one in shown[:CROPS]:
        dark, _ = pairs.images(next(row for row in pairs.rows() if row["key"] == one["key"]))
        stored = Image.open(io.BytesIO(base64.b64decode(one["dark_crop"].partition(",")[2]))).convert("RGB")
        assert np.array_equal(np.asarray(stored), center_crop(dark, CROP_SIDE))


def test_the_page_has_no_external_references_and_runs_no_script_from_names(pair_set):
    pairs = open_pairs(pair_set)
    row = {**pairs.row(0), "name": "</script><script>alert(1)</script>", "source": "<b>"}
    text = report_page(pairs, [row])
    assert text.count("</script>") == 2
    assert "<b>" not in text
    assert not re.search(r"""(src|href)=["']?(http|//)""", text)
