"""How the benchmarks measure: all cases take turns, and a ratio is taken within a round.

A shared machine is now fast, now slow. What two cases cost in the same round is compared, and the median of that
over the rounds is quoted; each round starts with another case, so that none is always first.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.setting import say

Sample = dict[str, float]


@dataclass
class Rounds:
    """The samples of all cases, one a round."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def ratio(self, case: str, base: str, figure: str) -> float:
        """Give the median over the rounds of case / base."""
        return statistics.median(
            one[figure] / other[figure] for one, other in zip(self.samples[case], self.samples[base], strict=True)
        )

    def difference(self, case: str, base: str, figure: str) -> float:
        """Give the median over the rounds of case - base."""
        return statistics.median(
            one[figure] - other[figure] for one, other in zip(self.samples[case], self.samples[base], strict=True)
        )

    def values(self, case: str, figure: str) -> list[float]:
        """Give one figure of a case, round by round."""
        return [sample[figure] for sample in self.samples[case]]


def alternated(cases: dict[str, Callable[[], Sample]], rounds: int) -> Rounds:
    """Measure the cases in turn. Before several rounds goes one that fills the machine's caches and does not count."""
    result = Rounds({name: [] for name in cases})
    names = list(cases)
    began = time.monotonic()
    for number in range(0 if rounds > 1 else 1, rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            sample = cases[name]()
            if number:
                result.samples[name].append(sample)
        say(f"round {number} of {rounds}, {time.monotonic() - began:.0f} s")
    return result


def least_and_median(values: Sequence[float], scale: float) -> str:
    """Write the least and the median."""
    return f"{min(values) * scale:.1f} / {statistics.median(values) * scale:.1f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table, with its columns in line."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )
