"""The dimmer and the settings that a manifest records, with which its pairs can be made again."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dimmagen.core.errors import DimmagenError, UsageError
from dimmagen.dimmers.dimmer import Brightness, DimmerBuilder
from dimmagen.generate.light_format import LightFormat
from dimmagen.generate.pair import BuildDimmer, PairSettings

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _ManifestSettings(BaseModel):
    """The settings that `dim` records in a manifest; a manifest from elsewhere may hold anything."""

    model_config = ConfigDict(strict=True, extra="ignore")

    profile: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    model: str
    gamma_range: Annotated[list[_Positive], Field(min_length=2, max_length=2)]
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    compat: Literal["default", "reference"] = "default"
    without: str = ""
    ladder: list[_Positive] = []
    group_by: Literal["", "clip"] = ""
    brightness: Brightness = "wide"
    variants: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    samples_per_shard: Annotated[int, Field(ge=1)]
    image_format: Literal["png", "webp"]
    light_format: LightFormat = "same"


def dimmer_from_manifest(settings: Mapping, profile: str | None = None) -> BuildDimmer:
    """A function that builds the dimmer that a data set was made with, by the version of its profile.

    Args:
        settings: of the data set's manifest.
        profile: folder of the profile, where its name alone does not find it.

    Raises:
        UsageError: there is no such profile, or the data set was merged from several.
        DimmagenError: the settings are not those of a data set, or the profile is not the recorded one.
    """
    _check(settings)
    build = DimmerBuilder(
        profile or settings["profile"],
        settings.get("profile_fingerprint"),
        model=settings["model"],
        compat=settings.get("compat", "default"),
        gamma_range=tuple(settings["gamma_range"]),
        temperature=settings["temperature"],
        without=tuple(filter(None, settings.get("without", "").split(","))),
        ladder=tuple(settings.get("ladder", ())),
        group_by=settings.get("group_by", ""),
        brightness=settings.get("brightness", "wide"),
    )
    found = build().settings()
    changed = [
        f"{name}: {settings.get(name)} → {value}"
        for name, value in found.items()
        if value != settings.get(name)
    ]
    if changed:
        raise DimmagenError(
            f"profile {settings['profile']} is not the one that the data set was made with "
            f"({', '.join(changed)})",
            "give the folder of the recorded profile as `profile`",
            code="other-settings",
            name=settings["profile"],
        )
    return build


def settings_from_manifest(settings: Mapping) -> PairSettings:
    """The settings of the pairs, without those of the dimmer.

    Raises:
        UsageError: the data set was merged from several.
        DimmagenError: the settings are not those of a data set.
    """
    _check(settings)
    names = ("variants", "seed", "samples_per_shard", "image_format")
    light_format = settings.get("light_format", "same")
    return PairSettings(**{name: settings[name] for name in names}, light_format=light_format)


def _check(settings: Mapping) -> None:
    if "gamma_range" not in settings and settings.get("derived_from"):
        raise UsageError(
            "a merged set was made with the settings of several sets",
            "reproduce the pairs of the sets that were merged",
            code="usage",
        )
    try:
        _ManifestSettings.model_validate(dict(settings))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise DimmagenError(
            f"the manifest's settings cannot be used: {place}: {fault['msg']}", code="damaged", name=place
        ) from None
