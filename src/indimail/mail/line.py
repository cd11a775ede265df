"""A line of a configuration file, with the place an operator finds it at.

Stores read files into lines; the pure layers parse lines into rules; every rule keeps its place.
"""

from dataclasses import dataclass

from indimail.mail.verdict import Rule


@dataclass(frozen=True, slots=True)
class Line:
    """`file` is relative to the instance (``control/rcpthosts``), `number` counts from 1.

    What a variable says is a line without a number.

    `text` has no trailing white space; comment lines and empty lines never become a `Line`.
    """

    file: str
    number: int | None
    text: str

    @property
    def rule(self) -> Rule:
        """The rule this line is, for a verdict."""
        return Rule(self.file, self.number)
