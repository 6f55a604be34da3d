"""The table of code bases, a module for each family; a row is added to the family that it is of.

A row says in our words what the data classes of one repository do, at the commit whose files were read.
"""

from dimmagen.export.code_bases import lol, own_layouts, restoration, unpaired

ALL = (*restoration.ROWS, *lol.ROWS, *own_layouts.ROWS, *unpaired.ROWS)
"""Every reader, in the order of the documentation."""
