"""Scenes that were shot twice are found by their images, and give the floor of every measure."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from simulated_camera import SimulatedCamera, simulated_light

from dimmagen.core.errors import UsageError
from dimmagen.dimmers.dimmer import ImageDimmer
from dimmagen.dimmers.real_pairs import RealPair, load_pairs
from dimmagen.evaluation.realism import evaluate_dimmers
from dimmagen.evaluation.realism_report import html_report
from dimmagen.evaluation.realism_results import AGAIN, MODES, REAL
from dimmagen.evaluation.realism_summary import floor_of, summarise, summary_as_json
from dimmagen.evaluation.realism_verdict import checks_of, headline_rows
from dimmagen.evaluation.repeats import find_repeats, measure_repeats
from dimmagen.metrics.realism import Reference, measure_pair

CAMERA = SimulatedCamera()


def shot(name, scene, seed, light=None, camera=CAMERA):
    """A shot of a scene; another seed is another shot."""
    light = simulated_light(scene, 160, 192) if light is None else light
    return RealPair(name, camera.shoot(light, seed), light, f"dark {scene} {seed}", f"light {name}")


def brighter(scene):
    """The light image of a scene, exposed longer."""
    return np.clip(simulated_light(scene, 160, 192) * 1.1, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pairs():
    return [
        shot("a", 0, 1),
        shot("b", 1, 2),
        shot("c", 0, 3, brighter(0)),
        shot("d", 1, 4, camera=replace(CAMERA, mean=25.5)),
    ]


@pytest.fixture(scope="module")
def repeats(pairs):
    return find_repeats(pairs)


@pytest.fixture(scope="module")
def measured(repeats):
    return measure_repeats(repeats)


def names(pairs):
    return [(one.first.name, one.second.name) for one in find_repeats(pairs)]


def test_two_shots_of_a_scene_are_found_whatever_their_names_and_light_images(pairs):
    assert names(pairs) == [("a", "c"), ("b", "d")]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (shot("x", 2, 9), "another scene"),
        (shot("x", 0, 9, camera=replace(CAMERA, mean=32.0)), "another exposure"),
        (shot("x", 0, 1), "the same file"),
        (shot("x", 0, 9, np.roll(simulated_light(0, 160, 192), 1, axis=1)), "the camera was moved"),
        (replace(shot("x", 0, 9), dark=shot("x", 2, 9).dark), "the dark image of another scene"),
        (replace(shot("x", 0, 9), dark=shot("x", 0, 9).dark[:100]), "another size"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_second_shot_is_not_taken_for_one(pairs, other, why):
    assert names([pairs[0], other]) == [], why


def test_each_shot_is_part_of_one_repeat(pairs):
    assert names([*pairs, shot("e", 0, 5)]) == [("a", "c"), ("b", "d")]
    assert names([*pairs, shot("e", 0, 5), shot("f", 0, 6)]) == [("a", "c"), ("b", "d"), ("e", "f")]


def test_each_shot_is_measured_against_the_other(repeats, measured):
    first, second = repeats[0].first, repeats[0].second
    assert measured[0].method(AGAIN, "matched").values == [
        measure_pair(first.dark, first.light, second.dark),
        measure_pair(second.dark, second.light, first.dark),
    ]


def test_a_camera_is_close_to_itself_by_every_measure(measured):
    floor = summarise(measured)[AGAIN]["matched"]
    assert floor["luma_noise"].mean_absolute < 0.05
    assert floor["luma_kl"].mean < 0.01
    assert floor["akld"].mean == pytest.approx(0.048, abs=0.005)  # as of two draws of one law


def test_they_take_the_place_of_split_halves_everywhere(pairs, repeats, measured):
    dimmers = {"linear": ImageDimmer.from_profile("linear")}
    results = evaluate_dimmers(dimmers, pairs[:2], draws=1)
    summary = summarise(results, repeats=measured)
    assert list(summary) == ["linear", "plain linear", "plain gamma", AGAIN]
    assert list(summary[AGAIN]) == list(MODES)
    assert (floor_of(summary), floor_of(summarise(results))) == (AGAIN, REAL)
    checks = checks_of(summary, dimmers, 2)
    assert checks["linear"].tone.limit == pytest.approx(summary[AGAIN]["matched"]["transfer_shape"].mean)
    told = next(row for row in headline_rows(summary, checks, list(dimmers)) if "AUC" in row.label)
    assert told.cells[-1] == f"{summary[AGAIN]['matched']['auc'].mean:.2f}"
    content = json.loads(
        json.dumps(summary_as_json(summary, results, dimmers, {"seed": 0}, measured), allow_nan=False)
    )
    floor = content["contenders"][-1]
    assert (floor["label"], floor["pairs"][0]["pair"]) == (AGAIN, "a and c")
    html = html_report(summary, results, dimmers, pairs[:2], {"seed": 0}, measured)
    assert "a second shot of one scene" in html
    assert "even rows" not in html


def test_the_curves_of_a_repeat_are_those_of_its_first_shot(repeats, measured):
    for repeat, result in zip(repeats, measured, strict=True):
        real = Reference(repeat.first.dark, repeat.first.light).real
        np.testing.assert_equal(asdict(result.noise), asdict(real.noise))
        np.testing.assert_equal(result.transfer, real.transfer)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_scenes_are_refused(repeats, count):
    with pytest.raises(UsageError, match="shot twice") as raised:
        measure_repeats(repeats[:count])
    assert raised.value.code == "too-small"


def test_the_second_shots_among_real_pairs_are_found(shared_data):
    chosen = ["9", "10", "21", "24", "25", "26", "27", "28", "39", "40", "42"]
    real = load_pairs(shared_data / "lol" / "our485", chosen)
    assert names(real) == [("9", "10"), ("25", "26"), ("27", "28"), ("39", "40")]
