"""Options of the commands that make recorded pairs again."""

import click

source_option = click.option(
    "--source",
    "sources",
    multiple=True,
    help="What the data set was made of, as for `dimmagen dim`; may be repeated.  [default: the light "
    "pictures in the shards]",
)
profile_option = click.option(
    "--profile", help="Folder of the profile.  [default: the profile of the manifest's name]"
)
