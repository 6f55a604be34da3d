"""An estimate looks at a sample of the candidates, or at all of few; here they are made up."""

import itertools
from types import SimpleNamespace

import pytest

from dimmagen.core.errors import DimmagenError
from dimmagen.generate.estimate import sample
from dimmagen.generate.estimate.sample import LightImageTotals, sample_light_images
from dimmagen.sources.photo_selection import PhotoSelection


def test_totals_are_scaled_as_a_whole():
    found = LightImageTotals(4, 1000, 300, 2.0).scaled_to(10)
    assert found == LightImageTotals(10, 2500, 300, 5.0, estimated=True)


@pytest.fixture
def candidates(monkeypatch):
    """20 candidates, of which 8 are drawn; every fourth is rejected, and they are 1x10, 2x10, ... pixels.

    What the scan is given is noted; it takes 2 s by a clock that goes on by 2 s at each look.
    """
    asked = SimpleNamespace(scans=[])
    files = [(SimpleNamespace(name="folder"), SimpleNamespace(name=f"{n}.png")) for n in range(1, 21)]

    def scan(some, scenes, workers, on_file, selection, stored):
        asked.scans.append((some, scenes, workers, on_file, selection, stored))
        for one in some:
            number = int(one[1].name.removesuffix(".png"))
            row = SimpleNamespace(accepted=number % 4 > 0, width=2 * number, height=20)
            yield SimpleNamespace(row=row, number=number)

    def listed(specs, names, follow_links):
        asked.listed = specs, names, follow_links
        return SimpleNamespace(files=files)

    for name, value in {
        "MAX_SAMPLED": 8,
        "time": SimpleNamespace(perf_counter=itertools.count(3, 2).__next__),
        "parse_specs": lambda sources: [f"spec {source}" for source in sources],
        "is_mixhq": lambda source: source == "mixhq",
        "list_candidate_files": listed,
        "scan": scan,
        "scanned_ref": lambda one: SimpleNamespace(width=one.number, height=10),
        "SceneHashes": SimpleNamespace(from_paths=lambda paths: f"scenes of {paths}"),
    }.items():
        monkeypatch.setattr(sample, name, value)
    return asked


def test_a_sample_stands_for_all_candidates(candidates):
    started, noted = [], []
    selection = PhotoSelection(names=frozenset({"a"}), follow_links=True)
    refs, totals = sample_light_images(
        ["photos"], ["lol"], 3, seed=5, on_start=started.append, on_file=noted.append, selection=selection
    )
    assert started == [8]
    [(drawn, scenes, workers, on_file, used, stored)] = candidates.scans
    assert (len(drawn), scenes, workers, used, stored) == (8, "scenes of ['lol']", 3, selection, False)
    assert on_file == noted.append
    assert candidates.listed == (["spec photos"], selection.names, True)
    accepted = [number for _, one in drawn if (number := int(one.name.removesuffix(".png"))) % 4]
    assert [ref.width for ref in refs] == accepted
    count = round(len(accepted) / 8 * 20)
    mean = sum(accepted) / len(accepted)
    expected, of_photos = (pytest.approx(pixels * mean * count) for pixels in (10, 40))
    assert totals == LightImageTotals(count, expected, 10 * max(accepted), 2 * 20 / 8, True, of_photos)
    again = sample_light_images(["photos"], seed=5)[0]
    assert [ref.width for ref in again] == accepted
    assert candidates.scans[1][1:3] == (None, 2)
    assert [ref.width for ref in sample_light_images(["photos"], seed=6)[0]] != accepted


def test_a_limit_is_the_most_that_is_expected_of_a_sample(candidates):
    limited = sample_light_images(["photos"], selection=PhotoSelection(limit=3))[1]
    assert (limited.count, limited.seconds) == (3, 5.0)
    assert sample_light_images(["photos"], selection=PhotoSelection(limit=999))[1].count < 20


def test_a_sample_in_which_nothing_is_accepted_is_an_error(candidates, monkeypatch):
    rejected = SimpleNamespace(row=SimpleNamespace(accepted=False))
    monkeypatch.setattr(sample, "scan", lambda *_, **__: [rejected])
    with pytest.raises(DimmagenError, match="none of 8 candidates drawn from 20 is accepted") as error:
        sample_light_images(["photos"])
    assert error.value.code == "no-match"


@pytest.mark.parametrize(("sources", "most"), [(["photos"], 20), (["photos", "mixhq"], 8), ([], 8)])
def test_few_candidates_and_a_mixhq_are_looked_at_whole(candidates, lights, monkeypatch, sources, most):
    opened = []

    def open_all(*given, **more):
        opened.append((given, more))
        return lights

    monkeypatch.setattr(sample, "MAX_SAMPLED", most)
    monkeypatch.setattr(sample, "open_light_images", open_all)
    found, totals = sample_light_images(sources, ["lol"], 3, on_start=print, on_file=repr)
    assert found is lights
    sizes = [12 * 16, 13 * 16, 14 * 16, 15 * 16, 16 * 16]
    of_photos = sum(width * height for width, height in lights.photo_sizes())
    assert totals == LightImageTotals(5, sum(sizes), max(sizes), 2, False, of_photos)
    [(given, more)] = opened
    execution = more.pop("execution")
    assert (execution.workers, execution.cached) == (3, False)
    assert given == (sources,)
    assert more == {"exclude": ["lol"], "selection": PhotoSelection(), "on_start": print, "on_file": repr}
