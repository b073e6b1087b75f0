"""What was found out about the objects of a playlist, for the next slices of the same job: a look at each is a request.

    looks.keep(identity, found)
    looks.of(identity)    # None: nobody has looked here, or something was replaced since

One for each process. A look that has become wrong does no harm: each range that is read demands the ETag that it told.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from stillframe.errors import SourceError
from stillframe.storage.bucket import ObjectFacts

#: by key what is known of an object, or why it is not there
Looks = Mapping[str, ObjectFacts | SourceError]
#: objects of all playlists together
_MOST_OBJECTS = 50_000


class KeptLooks:
    """The facts of the objects of several contents, by their identities. Safe to use from several threads."""

    def __init__(self, most_objects: int = _MOST_OBJECTS) -> None:
        self._most_objects = most_objects
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Looks] = OrderedDict()

    def keep(self, identity: str, found: Looks) -> None:
        """Keep the facts of a content's objects, by their keys; those that were not asked for longest go."""
        with self._lock:
            self._kept[identity] = found
            self._kept.move_to_end(identity)
            while sum(map(len, self._kept.values())) > self._most_objects:
                self._kept.popitem(last=False)

    def of(self, identity: str) -> Looks | None:
        """The facts that this identity was made of."""
        with self._lock:
            if identity in self._kept:
                self._kept.move_to_end(identity)
            return self._kept.get(identity)

    def drop(self, identity: str) -> None:
        """Something there is not what it was."""
        with self._lock:
            self._kept.pop(identity, None)
