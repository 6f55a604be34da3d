"""The plan of a run: its settings, its fingerprint and its shards, before anything is written."""

from dataclasses import dataclass, replace

from dimmagen.core.errors import UsageError
from dimmagen.core.registry import unknown_name
from dimmagen.dataset.census import LightImageCensus, census
from dimmagen.dataset.manifest import EXCLUDE, Run
from dimmagen.dataset.reader import PairSet
from dimmagen.generate.growing import grown_run, light_files, light_format_of_addition, next_shard
from dimmagen.generate.light_format import (
    LIGHT_FORMATS,
    AskedLightFormat,
    LightFormat,
    choose_light_format,
)
from dimmagen.generate.pair import IMAGE_FORMATS, BuildDimmer, PairSettings
from dimmagen.generate.plan import PlannedShard, plan_shards
from dimmagen.generate.run_environment import environment_for
from dimmagen.sources import recorded_terms
from dimmagen.sources.labels.index import Labels
from dimmagen.sources.light_images import LightImages

MAX_VARIANTS, MAX_PAIRS = 100_000, 10**10


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will make, known before anything is written.

    Attributes:
        run: settings and environment.
        settings: of the pairs.
        light_format: the one of `settings`, as chosen.
        photos: summary of the light images.
        shards: in order.
        base: the data set to which they are added; None for a new one.
    """

    run: Run
    settings: PairSettings
    light_format: LightFormat
    photos: LightImageCensus
    shards: list[PlannedShard]
    base: PairSet | None = None

    @property
    def pairs(self) -> int:
        return sum(map(len, self.shards))


def plan_dataset(
    lights: LightImages,
    build_dimmer: BuildDimmer,
    settings: PairSettings,
    labels: Labels | None = None,
    base: PairSet | None = None,
) -> Plan:
    """Plan every shard and determine the run's fingerprint; arguments as for :func:`.run.generate_dataset`.

    Raises:
        UsageError: no light image, or settings out of their range or other ones than those of `base`.
    """
    check_pair_settings(settings)
    photos = census(lights)
    _check_count(photos.count, settings.variants)
    if not photos.count and base is None:
        raise UsageError(
            f"{lights.origin} has no light image that passes the rules",
            "see `dry_run=True` for the reasons",
            code="no-match",
        )
    light_format = _light_format(settings.light_format, photos, base)
    settings = replace(settings, light_format=light_format)
    dimmer = build_dimmer()
    run_settings = {
        **dimmer.settings(),
        **settings.record(),
        "lights": photos.count,
        "lights_sha256": photos.sha256,
        **({EXCLUDE: dict(lights.excluded)} if lights.excluded else {}),
        **recorded_terms(photos.by_source),
        **({"labels": labels.settings} if labels else {}),
    }
    here = environment_for(dimmer.model.kind, photos.by_source, photos.steps)
    first = next_shard(base.manifest) if base else 0
    shards = plan_shards(photos.count, settings.variants, settings.samples_per_shard, first)
    run = Run(run_settings, here)
    if base:
        run = grown_run(base.manifest, run.settings, run.environment, photos.by_source, len(shards))
    return Plan(run, settings, light_format, photos, shards, base)


def _check_count(lights: int, variants: int) -> None:
    if lights * variants > MAX_PAIRS:
        raise UsageError(
            f"{lights} light images x {variants} variants are more than {MAX_PAIRS:,} pairs",
            "make several data sets, with fewer `variants` each",
            code="out-of-range",
            parameter="variants",
            value=variants,
        )


def _light_format(asked: AskedLightFormat, photos: LightImageCensus, base: PairSet | None) -> LightFormat:
    if base is None:
        return choose_light_format(asked, photos.extensions)
    recorded = base.manifest.settings.get("light_format", "same")
    return light_format_of_addition(asked, recorded, light_files(base), photos.extensions)


def check_pair_settings(settings: PairSettings) -> None:
    """Check the values of settings.

    Raises:
        UsageError: a setting is out of its range, or the image format is unknown.
    """
    for name, maximum in {"variants": MAX_VARIANTS, "samples_per_shard": 2**31}.items():
        value = getattr(settings, name)
        if not 1 <= value <= maximum:
            raise UsageError(
                f"`{name}` is {value}",
                f"give a number from 1 to {maximum}",
                code="out-of-range",
                parameter=name,
                value=value,
            )
    if not 0 <= settings.seed < 2**63:
        raise UsageError(
            f"`seed` is {settings.seed}",
            "give a number from 0 to 2^63 - 1",
            code="out-of-range",
            parameter="seed",
            value=settings.seed,
        )
    if settings.image_format not in IMAGE_FORMATS:
        raise unknown_name("image format", settings.image_format, IMAGE_FORMATS)
    if settings.light_format not in LIGHT_FORMATS:
        raise unknown_name("light format", settings.light_format, LIGHT_FORMATS)
