"""The page of `inspect --html`, in a real browser."""

import base64
import io
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dimmagen.dataset.reader import open_pairs
from dimmagen.dataset.report import CROP_SIDE, CROPS, report_page
from dimmagen.dataset.sheet import choose_rows, spread_over_lightness
from dimmagen.images.cropping import center_crop
from tests.commands import exit_code
from tests.dataset.test_card import manifest

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
    assert exit_code("inspect", pair_set, "--html", path) == 0
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
    [shown] = json.loads(re.findall('<script type="application/json" id="pairs">(.*?)</script>', text)[0])
    assert (shown["name"], shown["source"]) == (row["name"], row["source"])
    assert not re.search(r"""(src|href)=["']?(http|//)""", text)


class Pairs(SimpleNamespace):
    """What the page asks a data set for; here all pairs have the same images, or one that a row says."""

    def __len__(self) -> int:
        return len(self.table)

    def images(self, row):
        return row["images"]


def pairs_with(gammas, lightness=0.25, sources=("folder",), profiles=("night",), **of_manifest) -> Pairs:
    count = len(gammas)
    table = {
        "gamma": gammas,
        "lightness_before": [0.5 + number / 10 for number in range(count)],
        "lightness_after": [lightness] * count,
        "source": [sources[number % len(sources)] for number in range(count)],
        "profile": [profiles[number % len(profiles)] for number in range(count)],
    }
    return Pairs(table=pa.table(table), manifest=manifest(**of_manifest))


def test_the_top_of_the_page_says_what_the_set_is_and_escapes_the_words_of_others():
    pairs = pairs_with([1.0] * 3, sources=("raise", "clic"), profiles=("night", "<b>"), command="dim 'a' > b")
    text = report_page(pairs, [], {"brightness": "as <dark>"})
    assert text.count("3 dark/light pairs of profile &lt;b&gt;, night") == 2  # its title and its heading
    assert (
        "<dl>"
        + "".join(
            f"<dt>{name}</dt><dd>{value}</dd>"
            for name, value in {
                "pairs": "14 of 7 photos, in 2 shards",
                "by source": "clic 1, raise 2",
                "rejected candidates": "1",
                "brightness": "as &lt;dark&gt;",
                "command": "dim &#x27;a&#x27; &gt; b",
                "root hash": "e" * 64,
            }.items()
        )
        + "</dl>"
        in text
    )
    assert "<dt>root hash</dt>" in report_page(pairs, [])


def plots_of(pairs) -> dict[str, str]:
    """The marks of each plot, by its title."""
    plots = re.findall(
        r'aria-label="(.*?)"><text x="20" y="14">(.*?)</text>(.*?)</svg>', report_page(pairs, [])
    )
    assert [label for label, _, _ in plots] == [title for _, title, _ in plots]
    return {title: marks for _, title, marks in plots}


def test_histograms_are_as_high_as_their_counts_between_the_least_and_the_largest():
    plots = plots_of(pairs_with([0.5, 0.5, 1.0, 2.0]))
    titles = ["gamma (pairs)", "lightness before (pairs)", "lightness after (pairs)"]
    assert list(plots) == [*titles, "lightness after (-0.25 to 0.75) over gamma"]
    bars = re.findall(
        r'x="(\d+)" y="([\d.]+)" width="9" height="([\d.]+)"><title>(\d+)<', plots["gamma (pairs)"]
    )
    assert plots["gamma (pairs)"].count("</rect><rect") == 23
    shown = {0: ("20.0", "90.0", "2"), 8: ("65.0", "45.0", "1"), 23: ("65.0", "45.0", "1")}
    assert bars == [(str(20 + 10 * n), *shown.get(n, ("110.0", "0.0", "0"))) for n in range(24)]
    ends = re.findall(r'<text x="(\d+)" y="126".*?>(.*?)</text>', plots["gamma (pairs)"])
    assert ends == [("20", "0.50"), ("260", "2.00")]
    assert '<text x="20" y="126">0.50</text>' in plots["lightness before (pairs)"]
    assert plots["lightness after (pairs)"].count("<title>4<") == 1


def test_the_scatter_plot_has_a_dot_for_each_pair_of_few_and_for_some_of_many():
    def dots(pairs):
        [marks] = [marks for title, marks in plots_of(pairs).items() if "over gamma" in title]
        return re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="2"/>', marks)

    pairs = pairs_with([0.5, 1.0, 2.0])
    assert dots(pairs) == [("20.0", "65.0"), ("100.0", "65.0"), ("260.0", "65.0")]
    assert report_page(pairs, []).count('r="2"/><circle') == 2
    pairs.table = pairs.table.set_column(2, "lightness_after", [[0.1, 0.2, 0.3]])
    assert dots(pairs) == [("20.0", "110.0"), ("100.0", "65.0"), ("260.0", "20.0")]
    assert [len(dots(pairs_with([1.0] * count))) for count in (2000, 2001)] == [2000, 1001]


def shown_of(row: dict) -> dict:
    text = report_page(pairs_with([1.0]), [{"width": 9, "height": 7, **row}])
    return json.loads(re.findall('<script type="application/json" id="pairs">(.*?)</script>', text)[0])[0]


def decoded(url: str) -> tuple[np.ndarray, bool]:
    """The pixels of a WebP file in a data URL, and whether it is a lossless one."""
    head, _, data = url.partition(",")
    assert head == "data:image/webp;base64"
    content = base64.b64decode(data)
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")), content[12:16] == b"VP8L"


@pytest.mark.parametrize(("width", "step"), [(420, 1), (421, 2), (841, 3)])
def test_images_are_every_nth_pixel_and_the_dark_ones_are_exact(width, step):
    dark = np.random.default_rng(0).integers(0, 30, (9, width, 3), np.uint8)
    light = np.full((9, width, 3), 200, np.uint8)
    light[:, : width // 2] = 90
    one = shown_of({"images": (dark, light)})
    pixels, lossless = decoded(one["dark"])
    assert lossless
    assert np.array_equal(pixels, dark[::step, ::step])
    pixels, lossless = decoded(one["light"])
    assert not lossless
    assert pixels.shape == light[::step, ::step].shape
    assert np.abs(pixels.astype(int) - light[::step, ::step])[:, 10 : width // 3 // step].max() < 4
    for side, image in (("dark_crop", dark), ("light_crop", light)):
        pixels, lossless = decoded(one[side])
        assert lossless
        assert np.array_equal(pixels, center_crop(image, CROP_SIDE))


def test_a_pair_is_shown_with_its_record_and_the_gain_between_its_images():
    images = np.full((2, 2, 3), 15, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    record = {
        name: name for name in ("key", "source", "name", "variant", "gamma", "tau", "exposure", "balance_red")
    }
    record |= {"lightness_before": 0.5, "lightness_after": 0.1}
    one = shown_of({"images": images, "seed": 3, **record})
    assert one["size"] == "9x7"
    assert one["gain"] == 13.33
    pictures = {"dark", "light", "dark_crop", "light_crop"}
    assert {name: value for name, value in one.items() if name not in pictures} == {
        **record,
        "size": "9x7",
        "gain": 13.33,
    }
    assert shown_of({"images": (images[0] * 0, images[1])})["gain"] == 800.0
