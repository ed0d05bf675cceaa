"""Exit codes of all verbs: docs/operations.md says what each means. 0 is done."""

FAILED = 1  # it was done, and the answer is no
REFUSED = 2
UNREACHABLE = 3
DIED = 4
INTERRUPTED = 130
