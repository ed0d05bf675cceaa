"""What is said of bytes that are no state of the models.

May not know: any model.
"""

from __future__ import annotations


class StateFormatError(ValueError):
    """Bytes that are no state of the models, or that a newer version wrote. Says which and what to do."""
