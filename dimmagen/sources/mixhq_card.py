"""What is written next to the shards of a MixHQ for its readers: the layout for `datasets`, and the card."""

from collections.abc import Mapping, Sequence

from dimmagen.core.hashing import sha256
from dimmagen.core.hugging_face import layout_file, sample_features
from dimmagen.sources import SOURCES, rules
from dimmagen.sources.mixhq_generations import mixhq_generations
from dimmagen.sources.mixhq_packing import SIDECAR
from dimmagen.sources.verdict_counts import VerdictCounts


def mixhq_layout(manifest: Mapping) -> bytes:
    """The file that shows the shards to `datasets`."""
    images = ("light.jpg", "light.png", "light.webp")  # the same columns for every MixHQ
    features = sample_features(images, list(SIDECAR.items()))
    return layout_file("shards/mixhq-*.tar", features, _content(manifest))


def _content(manifest: Mapping) -> str:
    """A hash of the shards."""
    return sha256("".join(shard["sha256"] for shard in manifest["shards"]).encode())


def mixhq_card(tallies: Mapping[str, VerdictCounts], manifest: Mapping) -> str:
    """The README: what was selected, from which sources under which terms, and by which command."""
    inputs = manifest["inputs"]
    seen = sum(one.seen for one in tallies.values())
    accepted = sum(one.accepted for one in tallies.values())
    lines = [
        "---",
        "pretty_name: MixHQ",
        "configs:",
        "- config_name: default",
        f"  description: content {_content(manifest)}",
        "  data_files:",
        "  - split: train",
        '    path: "shards/mixhq-*.tar"',
        "---",
        "# MixHQ",
        "",
        f"{accepted} well-lit photos of {seen} seen, selected by rules version {inputs['rules_version']}.",
        "`catalog/` has one row for every candidate, with the verdict and its reason. Photos that were not",
        "changed keep the bytes of their files, with all the metadata in them.",
        "",
        *_source_table(tallies),
    ]
    if excluded := inputs["exclude"]["pictures"]:
        lines += ["", f"Scenes of {excluded} excluded pictures were left out."]
    lines += ["", "Made by:", "", f"    dimmagen build-mixhq {_options(list(tallies), inputs)}", ""]
    return "\n".join(lines + _generation_table(manifest))


def _source_table(tallies: Mapping[str, VerdictCounts]) -> list[str]:
    lines = ["| source | seen | accepted | rejected | terms |", "|---|---:|---:|---|---|"]
    for name, one in tallies.items():
        source = SOURCES[name]
        rejected = ", ".join(f"{count} {rule}" for rule, count in sorted(one.rejected.items())) or "none"
        lines.append(f"| {source.title} | {one.seen} | {one.accepted} | {rejected} | {source.terms} |")
    return lines


def _options(sources: Sequence[str], inputs: Mapping) -> str:
    """The options of the command that makes it."""
    words = [
        f"--source {name}" if SOURCES[name].default_path else f"--source {name}=PATH" for name in sources
    ]
    if inputs["exclude"]["pictures"]:
        words.append("--exclude PATH")
    words += [f"--{name} {inputs[name]}" for name in ("resize", "crop", "limit") if name in inputs]
    if inputs["min_lightness"] != rules.MIN_LIGHTNESS:
        words.append(f"--min-lightness {inputs['min_lightness']:g}")
    if inputs.get("follow_links"):
        words.append("--follow-links")
    return " ".join([*words, f"--samples-per-shard {inputs['samples_per_shard']}"])


def _generation_table(manifest: Mapping) -> list[str]:
    """The parts of a MixHQ to which photos were added."""
    if "generations" not in manifest:
        return []
    lines = ["Photos were added to it (`--add`):", ""]
    lines += ["| generation | photos | shards |", "|---:|---:|---:|"]
    for number, part in enumerate(mixhq_generations(manifest), 1):
        lines.append(f"| {number} | {part['samples']} | {part['shards']} |")
    return [*lines, ""]
