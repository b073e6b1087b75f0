"""The keys for a place.

keys = keys_for(place)    # of the environment, of a profile, or lent by a security token service
keys = other_keys(place, refused=keys)    # where the store has refused them: those that are right now, or None

Environment and files are read anew each time, so that what was changed there counts at once.
"""

from __future__ import annotations

from stillframe.storage import alibaba_keys, aws_keys
from stillframe.storage.keys import LENT, Keys, NoKeys, at_hand
from stillframe.storage.places import StorePlace


def keys_for(place: StorePlace) -> Keys:
    """The keys for a place. Raises NoKeys."""
    find = alibaba_keys.find if place.service == "oss" else aws_keys.find
    return at_hand(find(place.profile))


def other_keys(place: StorePlace, *, refused: Keys) -> Keys | None:
    """Other keys for a place than those that its store has just refused; None where there are no others.

    Raises NoKeys where there may be some a little later.
    """
    LENT.forget(refused)
    try:
        found = keys_for(place)
    except NoKeys as error:
        if error.transient:
            raise
        # that the store refuses is what is to be told
        return None
    if found != refused:
        return found
    missed = LENT.missed(refused)
    if missed is not None and missed.transient:
        raise missed
    return None
