"""Where rows come from: files, samples that ship with a dependency, and generators of synthetic data.

`sources.open_source` is the one entry point; `addresses` is light and serves checks that read no data. Nothing here
imports other VeilFlow folders.
"""
