"""Write docs/commands/, one page per command, from the help texts. Run it after a help text has changed:

python docs/make_command_pages.py
"""

from collections.abc import Iterator
from pathlib import Path

import click

from dimmagen.cli import cli

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
    index = ["# Commands", ""]
    for context in commands(cli, click.Context(cli, info_name="dimmagen", **cli.context_settings)):
        name, command = context.command_path, context.command
        file = f"{name.split()[1]}.md"
        heading = "#" if file not in texts else "##"
        page = texts.setdefault(file, [])
        page += [f"{heading} {name}", "", "```", command.get_help(context), "```", ""]
        index.append(f"- [{name}]({file}): {command.get_short_help_str(WIDTH)}")
    return {"README.md": "\n".join(index) + "\n", **{file: "\n".join(text) for file, text in texts.items()}}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        path.unlink()
    for file, text in pages().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
