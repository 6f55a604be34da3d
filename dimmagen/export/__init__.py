"""Exports: a data set in the folder layouts that other enhancement models read.

`layouts` says what each reader expects and `split` which pairs go where; `writing` makes the folder, and
`checking` pairs its files by the reader's own rule.
"""
