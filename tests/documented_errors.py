"""No action answers with a code that its page does not list: what tests call the API with sees to it."""

from __future__ import annotations

from stillframe.ims.registry import ACTIONS
from stillframe.service.error_table import COMMON_ERRORS


def demand_documented(action: str, code: str) -> None:
    """Fail for a code that neither the action names nor any request may be answered."""
    own = ACTIONS[action].all_errors if action in ACTIONS else {}
    assert code in own or code in COMMON_ERRORS, f"{action} answers {code}: name it in its errors"
