"""Write docs/commands/, one page per command, from the help texts, the tables of docs/pairs.md, and what a
shell completes (dimmagen/cli/completion.json). Run it after a help text, an option or a table has changed:

python docs/make_command_pages.py
"""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from dimmagen.cli import cli
from dimmagen.cli.completion import TREE, described_command, names_by_kind
from dimmagen.dimmers.pair_matching import rules_table
from dimmagen.images.pair_names import names_table

PAIRS_PAGE = Path(__file__).parent / "pairs.md"
TABLES = {"names": names_table, "rules": rules_table}
FOLDER = Path(__file__).parent / "commands"
WIDTH = 100


def commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """The context of every command, those of a group after the group itself."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            inner = click.Context(
                command, context, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
            )
            yield inner
            if isinstance(command, click.Group):
                yield from commands(command, inner)


def pages() -> dict[str, str]:
    """The text of each page by file name: one page per command or group, and the index."""
    texts: dict[str, list[str]] = {}
    index = ["# Commands"]
    first = {next(iter(section)): heading for heading, section in cli.sections.items()}
    for context in commands(cli, click.Context(cli, info_name="dimmagen", **cli.context_settings)):
        name, command = context.command_path, context.command
        file = f"{name.split()[1]}.md"
        if section := first.get(name.removeprefix("dimmagen ")):
            index += ["", f"## {section}", ""]
        heading = "#" if file not in texts else "##"
        page = texts.setdefault(file, [])
        page += [f"{heading} {name}", "", "```", command.get_help(context), "```", ""]
        index.append(f"- [{name}]({file}): {command.get_short_help_str(WIDTH)}")
    return {"README.md": "\n".join(index) + "\n", **{file: "\n".join(text) for file, text in texts.items()}}


def pairs_page(text: str) -> str:
    """The text of docs/pairs.md with its tables as the code has them."""
    for name, table in TABLES.items():
        begin = f"<!-- {name}: written by docs/make_command_pages.py -->\n"
        before, after = text.split(begin)
        _, rest = after.split("<!-- end -->", 1)
        text = f"{before}{begin}{table()}\n<!-- end -->{rest}"
    return text


def completions() -> str:
    """The text of completion.json."""
    tree = described_command(cli, click.Context(cli, info_name="dimmagen", **cli.context_settings))
    return json.dumps({**tree, "names": names_by_kind()}, indent=1) + "\n"


if __name__ == "__main__":
    PAIRS_PAGE.write_text(pairs_page(PAIRS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    TREE.write_text(completions(), encoding="utf-8")
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        path.unlink()
    for file, text in pages().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
