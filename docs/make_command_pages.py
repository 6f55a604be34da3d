"""Write docs/commands/: a page for each command, made from its help. Run it after a help text has changed:

python docs/make_command_pages.py
"""

from collections.abc import Iterator
from pathlib import Path

import click

from dimmagen.cli import cli

FOLDER = Path(__file__).parent / "commands"
WIDTH = 100


def commands(group: click.Group = cli, name: str = "dimmagen") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups' own commands after them."""
    with click.Context(group, info_name=name) as context:
        for short in group.list_commands(context):
            command = group.get_command(context, short)
            if command is not None:
                yield f"{name} {short}", command
                if isinstance(command, click.Group):
                    yield from commands(command, f"{name} {short}")


def pages() -> dict[str, str]:
    """File name to text: one page a command, with the pages of a group in one, and the index."""
    texts: dict[str, list[str]] = {}
    index = ["# Commands", ""]
    for name, command in commands():
        file = f"{name.split()[1]}.md"
        context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
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
