"""Tracks: the files that tell a player which still or cell belongs to which time.

`webvtt` writes them, `lint` says what real players make of them.
"""
