"""Options that are places on this machine's disks."""

import click

from dimmagen.core import storage


class LocalPath(click.Path):
    """A path that is no URL: click's own would take `s3://bucket/run` for one below a folder `s3:`."""

    def convert(self, value, param, context):
        if not storage.is_local(str(value)):
            self.fail(f"{value} is a URL; give a local or mounted path", param, context)
        return super().convert(value, param, context)
