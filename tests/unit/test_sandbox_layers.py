"""What must hold, and what is said when it does not."""

from __future__ import annotations

import pytest

from stillframe import ChildKilled, SandboxError, SandboxUnavailable, StillframeError
from stillframe.sandbox.layers import Layers, require

ALL = Layers(seccomp=True, rlimits=True, landlock=7, network_namespace=True, unprivileged=True)


@pytest.mark.parametrize(
    "layers",
    [ALL, Layers(seccomp=True, rlimits=True)],
    ids=["all", "what must be"],
)
def test_enough_is_enough(layers: Layers) -> None:
    require(layers)
    assert layers.missing == ()


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (Layers(), ["seccomp", "limits"]),
        (Layers(seccomp=True, landlock=7, network_namespace=True, unprivileged=True), ["limits"]),
        (Layers(rlimits=True, landlock=7, network_namespace=True, unprivileged=True), ["seccomp"]),
    ],
    ids=["nothing", "no limits", "no seccomp"],
)
def test_what_is_missing_is_said(layers: Layers, words: list[str]) -> None:
    with pytest.raises(SandboxUnavailable) as refused:
        require(layers)
    assert len(refused.value.missing) == len(words)
    assert all(word in text for word, text in zip(words, refused.value.missing, strict=True))
    assert str(refused.value).startswith("the decoder cannot be locked in on this system: ")


def test_errors_carry_data() -> None:
    killed = ChildKilled("time", "it was not done after 5 s")
    assert (killed.reason, killed.detail) == ("time", "it was not done after 5 s")
    assert str(killed) == "the decoder was stopped (time): it was not done after 5 s"
    assert isinstance(killed, SandboxError)
    assert isinstance(killed, StillframeError)
