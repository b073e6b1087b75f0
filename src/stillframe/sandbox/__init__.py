"""The decoding child: untrusted video is decoded where there is no network, no file and no secret.

    with Sandbox() as sandbox:                      # parent.py: the side that trusts nothing it hears
        found = sandbox.survey(source, config)
        made = [sandbox.render(found, stretch, source, sink) for stretch in found.stretches]

A `Sandbox` owns a fork server (`zygote.py`, started by `forkserver.py`); each slice gets a fresh child
(`child.py`) that locks itself in (`layers.py`: `seccomp.py`, `landlock.py`) before it reads a byte of video.
The child asks for ranges and sends pictures over one socket (`wire.py`); `session.py` holds the other end
and bounds everything, `check.py` says what may be believed. `decoder.py` is the port that the service uses;
`unlocked.py` is its other side, without any barrier.
"""
