"""A client that submits jobs one by one, each until it is taken, while those who take them come and go."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from drill.server import Server
from drill.work import TEMPLATE, Kind


@dataclass(frozen=True)
class Asked:
    """What was asked for with one submit, and where its outputs go."""

    number: int
    kind: Kind
    bucket: str

    @property
    def folder(self) -> str:
        """Of its outputs, in the bucket."""
        return f"out/{self.number:04}"

    def __str__(self) -> str:
        return f"job {self.number}, {self.kind.name}, in {self.bucket}"


class Submitter:
    """Jobs of all kinds in turn, whose outputs go to one of the buckets in turn; and a probe job for each."""

    def __init__(
        self,
        server: Server,
        kinds: Sequence[Kind],
        chance: random.Random,
        buckets: Sequence[str] = ("local",),
    ) -> None:
        #: what was asked for, by the id that a submit has returned, in order
        self.ids: dict[str, Asked] = {}
        #: likewise, of probe jobs
        self.probes: dict[str, Kind] = {}
        self.buckets = buckets
        self._server = server
        self._kinds = kinds
        self._chance = random.Random(chance.random())
        self._taken = 0
        self._one_by_one = threading.Lock()
        self._enough = threading.Event()
        self._thread: threading.Thread | None = None
        self._fault: BaseException | None = None

    def begin(self, jobs: int) -> None:
        """Submit so many in the background; then go on slowly until it is `enough`."""
        self._enough.clear()
        self._thread = threading.Thread(target=self._submit, args=(self._taken + jobs,), daemon=True)
        self._thread.start()

    def enough(self) -> None:
        """Nobody waits for more work than was asked for to `begin` with."""
        self._enough.set()

    def join(self) -> None:
        """Wait until all are taken."""
        self._enough.set()
        if self._thread is not None:
            self._thread.join()
        if self._fault is not None:
            raise self._fault
        assert len(self.ids) == self._taken, "two submits have returned the same id"

    def submit(self, kind: Kind) -> tuple[str, Asked]:
        """One job, until it is taken; its id."""
        with self._one_by_one:
            return self._submit_one(kind)

    def _submit_one(self, kind: Kind) -> tuple[str, Asked]:
        number = self._taken
        asked = Asked(number, kind, self.buckets[number // len(self._kinds) % len(self.buckets)])
        answer = self._server.insist(
            "SubmitSnapshotJob",
            Input={"Type": "OSS", "Media": f"oss://local/{kind.media}"},
            Output={"Type": "OSS", "Media": f"oss://{asked.bucket}/{asked.folder}/{kind.output}"},
            TemplateConfig={"TemplateId": TEMPLATE, "OverwriteParams": dict(kind.overwrite)},
            # a submit whose answer was lost is done once more, and must not be a second job
            ClientToken=f"drill-{number}",
        )
        self.ids[answer["JobId"]] = asked
        self._taken += 1
        return answer["JobId"], asked

    def _submit(self, until: int) -> None:
        try:
            while self._taken < until:
                self._submit_next()
                # spread over the time that the server is up
                time.sleep(self._chance.uniform(0, 0.15))
            while not self._enough.wait(0.5):
                self._submit_next()
        except BaseException as error:
            self._fault = error

    def _submit_next(self) -> None:
        kind = self._kinds[self._taken % len(self._kinds)]
        self.submit(kind)
        # without a token: when the answer was lost, there are two of them
        look = self._server.insist(
            "SubmitMediaInfoJob", Input={"Type": "OSS", "Media": f"oss://local/{kind.media}"}
        )
        self.probes[look["MediaInfoJob"]["JobId"]] = kind
