"""Exports: a data set as the folders that other enhancement models read.

`layouts` says what each reader expects, `split` which pairs go where, `writing` makes the folder, `checking`
pairs its files by the reader's own rule.
"""
