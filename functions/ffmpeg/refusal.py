"""Why a word of a command is refused."""


class Refused(Exception):
    """A word is refused. The text is the rule, in our words: it completes "Word 3 is refused: ..."."""
