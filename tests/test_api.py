"""The public API: the functions that a notebook calls; errors name their arguments."""

import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

import dimmagen
from dimmagen import (
    Dimmer,
    LowLight,
    UsageError,
    build_mixhq,
    check_dimmer,
    check_source,
    make_dataset,
    make_subset,
)
from dimmagen.dimmers.base import DIMMERS
from dimmagen.sources import SOURCES
from tests.commands import exit_code
from tests.dataset_helpers import write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return str(write_photos(tmp_path_factory.mktemp("api") / "photos", 4))


def test_everything_that_is_exported_can_be_imported():
    for name in dimmagen.__all__:
        assert getattr(dimmagen, name) is not None
    assert set(dimmagen.__all__) <= set(dir(dimmagen))


def test_a_data_set_made_through_a_mixhq_verifies_and_equals_that_of_the_photos(photos, tmp_path):
    counts = dimmagen.build_mixhq([photos], tmp_path / "mixhq")
    assert (counts["folder"].accepted, counts["folder"].rejected.total()) == (4, 1)
    assert dimmagen.build_mixhq([photos], tmp_path / "mixhq")["folder"].accepted == 4  # kept
    for source, out in ((str(tmp_path / "mixhq"), "a"), (photos, "b")):
        manifest = dimmagen.make_dataset("linear", [source], tmp_path / out, variants=2, samples_per_shard=3)
        assert manifest.counts.pairs == 8
    dimmagen.assert_same_dataset(tmp_path / "a", tmp_path / "b")
    assert dimmagen.verify(tmp_path / "a").faults == []
    subset = dimmagen.make_subset(
        tmp_path / "a", tmp_path / "c", keys=(next(iter(dimmagen.PairDataset(tmp_path / "a")))["key"],)
    )
    assert subset.counts.pairs == 1


def test_auto_is_serial_for_a_few_pairs_and_ray_for_more(photos, tmp_path, monkeypatch):
    class Started(Exception):
        pass

    def start(*args, **kwargs):
        raise Started

    monkeypatch.setattr("dimmagen.generate.run.run_ray", start)
    make = partial(dimmagen.make_dataset, "linear", photos)
    assert make(tmp_path / "a", executor="auto") == make(tmp_path / "b")
    with pytest.raises(Started):
        make(tmp_path / "c", executor="auto", workers=2)
    monkeypatch.setattr("dimmagen.generate.execution._FEW_PIXELS", 1)
    with pytest.raises(Started):
        make(tmp_path / "d", executor="auto")
    make(tmp_path / "d")
    with pytest.raises(UsageError, match="serial, ray"):
        dimmagen.build_mixhq(photos, tmp_path / "e", executor="auto")


def test_a_data_set_and_a_mixhq_are_told_apart_and_the_advice_checks_the_other(photos, tmp_path):
    dimmagen.build_mixhq([photos], tmp_path / "mixhq")
    dimmagen.make_dataset("linear", [tmp_path / "mixhq"], tmp_path / "out")
    with pytest.raises(dimmagen.DimmagenError, match=r"is a MixHQ: .*`verify_mixhq\(\)` checks") as first:
        dimmagen.verify(tmp_path / "mixhq")
    with pytest.raises(dimmagen.DimmagenError, match=r"a data set of pairs, not a MixHQ: .*`verify") as other:
        dimmagen.verify_mixhq(tmp_path / "out")
    assert first.value.code == other.value.code == "wrong-format"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: make_dataset("linear", varaints=2), r"make_dataset\(\) .* 'varaints'"),
        (lambda: dimmagen.pair_loader("out", batchsize=2), r"pair_loader\(\) .* 'batchsize'"),
        (lambda: dimmagen.pair_loader("out"), r"pair_loader\(\) missing .* 'batch_size'"),
    ],
)
def test_a_misspelt_argument_is_named_with_its_function(call, said):
    with pytest.raises(TypeError, match=said):
        call()


def test_one_path_or_name_is_not_taken_for_a_list_of_letters(photos, tmp_path):
    from pathlib import Path

    split = Path(photos).parent / "split"
    split.mkdir()
    (split / "same.png").write_bytes((Path(photos) / "photo00.png").read_bytes())
    options = {"exclude": split, "names": ["photo00.png", "photo01.jpg", "photo02.png"]}
    made = dimmagen.make_dataset("linear", Path(photos), tmp_path / "a", **options)
    assert made == dimmagen.make_dataset("linear", photos, tmp_path / "b", **options)
    assert dimmagen.remove_photos(tmp_path / "a", "photo01.jpg").photos == 1
    assert [pair["key"] for pair in dimmagen.PairDataset(tmp_path / "a")] != []
    counts = dimmagen.build_mixhq(photos, tmp_path / "mixhq", names="photo02.png", exclude=str(split))
    assert counts["folder"].accepted == 1


@pytest.mark.parametrize(
    ("labels", "said"),
    [("here", "give FORMAT=PATH"), ("mask=here", "did you mean masks"), ("masks=here", "no labels at here")],
)
def test_labels_that_cannot_be_read_are_refused_before_photos_are_looked_at(labels, said, tmp_path):
    from pathlib import Path

    for given in (labels, Path(labels)):
        with pytest.raises(dimmagen.UsageError, match=said):
            dimmagen.make_dataset("linear", "nowhere", tmp_path / "out", labels=given)


def test_a_pair_is_named_by_all_letters_of_its_name(tmp_path):
    """`hold_out="12"` was the pairs 1 and 2."""
    for side, level in (("low", 20), ("high", 120)):
        (tmp_path / side).mkdir()
        for name in ("1", "2", "3"):
            Image.new("RGB", (64, 64), (level, level, level)).save(tmp_path / side / f"{name}.png")
    for argument in ("names", "hold_out"):
        with pytest.raises(dimmagen.UsageError, match=r"\b12\b"):
            dimmagen.fit_profile(tmp_path, tmp_path / "profile", **{argument: "12"})


def test_it_makes_the_data_set_of_the_command(photos, tmp_path):

    dimmagen.make_dataset("linear", [photos], tmp_path / "a", gamma=(0.5, 1.5), seed=3)
    words = ["dim", "--profile", "linear", "--source", photos, "--executor", "serial", "--gamma", "0.5:1.5"]
    assert exit_code(*words, "--seed", "3", "--shards", tmp_path / "b") == 0
    dimmagen.assert_same_dataset(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        ({"variants": 0}, "`variants` is 0", "out-of-range"),
        (
            {"gamma": (1.0, 1.0), "ladder": (1.0,)},
            "`ladder` gives the gammas that `gamma` would draw",
            "conflict",
        ),
        ({"device": "cuda"}, 'use `device="cpu"`', "device"),
        ({"address": "auto"}, '`executor="ray"`', "conflict"),
        ({"without": ("tails",)}, 'use `model="camera"`', "unknown-name"),
        ({"model": "mdn"}, "has no model 'mdn'", "unknown-name"),
    ],
)
def test_a_mistake_is_reported_in_arguments_and_not_in_options(options, message, code, photos, tmp_path):
    with pytest.raises(dimmagen.UsageError) as error:
        dimmagen.make_dataset("linear", [photos], tmp_path / "out", **options)
    assert message in str(error.value)
    assert error.value.code == code
    assert "--" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_another_runs_folder_is_refused_without_naming_options(photos, tmp_path):
    dimmagen.make_dataset("linear", [photos], tmp_path / "out")
    with pytest.raises(dimmagen.UsageError, match="another `out` folder") as error:
        dimmagen.make_dataset("linear", [photos], tmp_path / "out", seed=1)
    assert "--" not in str(error.value)


def test_a_fitted_profile_is_saved_and_dims(tmp_path, monkeypatch, short_fits):
    monkeypatch.setenv("DIMMAGEN_PROFILES", str(tmp_path / "profiles"))
    generator = np.random.Generator(np.random.PCG64(5))
    for side in ("low", "high"):
        (tmp_path / "pairs" / side).mkdir(parents=True)
    for name in ("1", "2"):
        light = generator.integers(60, 220, (8, 10, 3)).repeat(16, 0).repeat(16, 1).astype(float)
        light += generator.normal(0, 2, light.shape)
        dark = light * 0.15 + generator.normal(0, 1.5, light.shape)
        for side, pixels in (("low", dark), ("high", light)):
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(
                tmp_path / f"pairs/{side}/{name}.png"
            )
    profile = dimmagen.fit_profile(tmp_path / "pairs", "mine")
    assert (
        json.loads((tmp_path / "profiles/mine/profile.json").read_text())["fingerprint"]
        == profile.fingerprint
    )
    with pytest.raises(dimmagen.UsageError, match="exists already"):
        dimmagen.fit_profile(tmp_path / "pairs", "mine")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variants": "2"}, "`variants` is '2': give a whole number"),
        ({"variants": 2.0}, "`variants` is 2.0: give a whole number"),
        ({"seed": True}, "`seed` is True"),
        ({"limit": float("nan")}, "`limit` is nan"),
        ({"min_lightness": float("nan")}, "`min_lightness` is nan: give a number from 0 to 1"),
        ({"gamma": (2, 1)}, "give the lowest and the highest value"),
        ({"gamma": 0.5}, "give a list of numbers"),
        ({"ladder": [1, 1]}, "give each number once"),
        ({"ladder": "1,2"}, "give a list of numbers"),
        ({"executor": "rai"}, "there is no executor 'rai': did you mean ray?"),
        ({"resume": False}, "there is no resume 'False': choose one of if-possible, always, never"),
        ({"group_by": "clips"}, "there is no group by 'clips': did you mean clip?"),
        ({"workers": 0}, "give a whole number from 1"),
        ({"follow_links": "no"}, "`follow_links` is 'no': give True or False"),
        ({"progress": print}, "give an object with the methods begin, pairs, shard, workers"),
        ({"names": [1]}, "`names` is 1: give a text or a path"),
        ({"sources": None}, "`sources` is None"),
        ({"out": None}, "`out` is None: give a path"),
        ({"out": ""}, "`out` is empty"),
        ({"out": b"new"}, "`out` is b'new'"),
    ],
)
def test_an_argument_of_another_kind_is_refused_by_name(options, message, photos, tmp_path, monkeypatch):
    """`None` was a folder of that name, an unknown word was passed over, and NaN accepted every photo."""
    monkeypatch.chdir(tmp_path)
    given = {"profile": "linear", "sources": photos, "out": "new", **options}
    with pytest.raises(dimmagen.UsageError) as refused:
        dimmagen.make_dataset(**given)
    assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_and_any_list_are_those_of_python(photos, tmp_path):
    plain = {"variants": 2, "seed": 3, "samples_per_shard": 2, "gamma": (0.5, 1.5), "names": ["photo00.png"]}
    of_numpy = {
        "variants": np.int64(2),
        "seed": np.uint8(3),
        "samples_per_shard": np.int32(2),
        "gamma": np.array([0.5, 1.5]),
        "names": np.array(["photo00.png"]),
    }
    for out, given in (("a", plain), ("b", of_numpy)):
        dimmagen.make_dataset("linear", photos, tmp_path / out, **given)
    dimmagen.assert_same_dataset(tmp_path / "a", tmp_path / "b")
    key = dimmagen.PairDataset(tmp_path / "a").row(0)["key"]
    assert (
        dimmagen.make_subset(tmp_path / "a", tmp_path / "c", keys=key, min_side=np.int64(1)).counts.pairs == 1
    )
    with pytest.raises(dimmagen.UsageError, match="`gamma` is 1: give a list of numbers"):
        dimmagen.make_subset(tmp_path / "a", tmp_path / "d", gamma=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": (2, 1)}, "give the lowest and the highest value"),
        ({"seed": 1.5}, "`seed` is 1.5: give a whole number"),
        ({"brightness": None}, "there is no brightness 'None'"),
        ({"clips": "no"}, "`clips` is 'no': give True or False"),
        ({"p": "1"}, "`p` is '1': give a number"),
    ],
)
def test_a_setting_of_another_kind_is_refused_by_the_transform(options, message):
    with pytest.raises(dimmagen.UsageError) as refused:
        dimmagen.LowLight("lol3", **options)
    assert message in str(refused.value)


def test_draws_are_of_whole_numbers_and_of_whole_keys():
    low_light = dimmagen.LowLight("linear", seed=np.int64(3))
    assert low_light.draw("a", np.int64(1)) == dimmagen.LowLight("linear", seed=3).draw("a", 1)
    for variant in (-1, 1.5, "0"):
        with pytest.raises(dimmagen.UsageError, match="`variant` is"):
            low_light.draw("a", variant)
    dimmer = dimmagen.Dimmer.from_profile("linear")
    assert dimmer.draws("abc") == dimmer.draws(["abc"])
    with pytest.raises(dimmagen.UsageError, match="`keys` is 1"):
        dimmer.draws([1])
    with pytest.raises(dimmagen.UsageError, match="`light` is of the type ndarray: give a tensor"):
        dimmer(np.zeros((1, 3, 8, 8), np.float32))


def test_loaders_take_numbers_of_numpy_and_refuse_what_is_no_switch(pair_set):
    loader = dimmagen.pair_loader(pair_set, batch_size=np.int64(4), crop=np.int32(64), shuffle=0)
    assert next(iter(loader))["dark"].shape == (4, 3, 64, 64)
    for options, message in (
        ({"batch_size": None}, "`batch_size` is None: give a whole number from 1"),
        ({"shuffle": "no"}, "`shuffle` is 'no': give True or False"),
        ({"out": b"x"}, "`out` is b'x': give a path"),
        ({"transform": 3}, "`transform` is 3: give a function"),
    ):
        with pytest.raises(dimmagen.UsageError, match=message):
            dimmagen.pair_loader(**{"out": pair_set, "batch_size": 4, **options})
    for index in ("a", slice(1, 3)):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            dimmagen.PairDataset(pair_set)[index]
    with pytest.raises(dimmagen.UsageError, match="there is no folder absent"):
        dimmagen.assert_same_dataset("absent", pair_set)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_mixhq([], "new"), "`sources` is empty: name folders"),
        (lambda: make_dataset("linear", ["sample"], group_by="scene"), "choose one of '', clip"),
        (lambda: make_subset("out", "new", min_side="3"), "`min_side` is '3': give a whole number"),
        (lambda: Dimmer.from_profile(3), "`profile` is 3: give a path"),
        (lambda: LowLight("linear")(np.zeros((9, 9, 3), np.uint8), key=3), "give one key for each image"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(call, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        call()
    assert not any(tmp_path.iterdir())


def test_a_contract_is_that_of_an_instance():
    for kind in ("linear", type(DIMMERS["linear"].load(None, {}))):
        with pytest.raises(AssertionError, match="is not a dimmer model: give an instance"):
            check_dimmer(kind)
    for kind in ("coco", type(SOURCES["coco"])):
        with pytest.raises(AssertionError, match="is not a source: give an instance"):
            check_source(kind)
