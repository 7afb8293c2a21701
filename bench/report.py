"""What was measured, as a table for people and as JSON."""
import statistics
from dataclasses import dataclass, field


# Who had less of his cores was not what limited his rate.
BUSY = 0.85


class Rate(float):
    """So many a second, and which share of its cores it had for them."""

    def __new__(cls, a_second, busy):
        rate = super().__new__(cls, a_second)
        rate.busy = busy
        return rate


@dataclass
class Goal:
    limit: float
    # "at least" or "at most"
    side: str

    def met(self, value):
        return value >= self.limit if self.side == "at least" else value <= self.limit

    def reached(self, value):
        """How far it is reached: 1 is just met, more is better."""
        if self.side == "at least":
            return value / self.limit
        return self.limit / value if value else float("inf")


def at_least(limit):
    return Goal(limit, "at least")


def at_most(limit):
    return Goal(limit, "at most")


@dataclass
class Line:
    """One line of the table: a value of each run, or of each pair of runs."""

    # A few words, for the plot.
    label: str
    # What it is, for who has read nothing else.
    text: str
    values: list
    goal: Goal = None
    unit: str = ""
    # The values that it was made of, by what they are of.
    parts: dict = field(default_factory=dict)
    # The same for each second that they had their cores, not for each that passed; of ratios of rates.
    by_core_time: list = field(default_factory=list)
    # The shares of their cores that they had, where one had too little.
    held_back: dict = field(default_factory=dict)
    # Of which measurement; `bench/run` writes it.
    measurement: str = ""

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def judged(self):
        """What is held against the goal."""
        return statistics.median(self.by_core_time) if self.held_back else self.median

    @property
    def met(self):
        return self.goal.met(self.judged) if self.goal else None


def ratio(label, text, goal, over, under):
    """The line of one rate over another, each given as {what: rates}."""
    pairs, parts = list(zip(*over.values(), *under.values())), {**over, **under}
    values = [above / below for above, below in pairs]
    by_core_time = [(above / above.busy) / (below / below.busy) for above, below in pairs]
    busy = {name: statistics.median(rate.busy for rate in rates) for name, rates in parts.items()}
    held_back = busy if min(busy.values()) < BUSY else {}
    return Line(label, text, values, goal, "", parts, by_core_time, held_back)


def number(value):
    return f"{value:,.0f}" if value >= 1000 or value == 0 else f"{value:.3g}"


def with_unit(value, unit):
    return f"{number(value)} {unit}".strip()


def said(goal, unit):
    if goal is None:
        return "–"
    return f"{'≥' if goal.side == 'at least' else '≤'} {with_unit(goal.limit, unit)}"


COLUMNS = ["name", "what is measured", "median", "min to max", "by core time", "goal", "met", "medians of its parts"]

EXPLANATION = """\
by core time: the same ratio, but for each second that both had their cores instead of each that passed. If a side had
too little of them, other programs or its load held it back, and this ratio is the one that is held against the goal."""


def cells(line):
    parts = ", ".join(f"{name} {number(statistics.median(values))}" for name, values in line.parts.items())
    spread = f"{number(min(line.values))} to {number(max(line.values))}"
    by_core_time = number(statistics.median(line.by_core_time)) if line.by_core_time else "–"
    met = {None: "–", True: "yes", False: "NO"}[line.met] + (" (core time)" if line.held_back and line.goal else "")
    median, goal = with_unit(line.median, line.unit), said(line.goal, line.unit)
    return [line.measurement, line.text, median, spread, by_core_time, goal, met, parts]


def held_back(line):
    shares = ", ".join(f"{name[:-2]} {share:.0%}" for name, share in line.held_back.items())
    return f"{line.measurement}: {line.label}: held back; they had of their cores: {shares}"


def table(lines):
    """As Markdown."""
    rows = [COLUMNS, *map(cells, lines)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def as_json(line):
    goal = line.goal and vars(line.goal)
    return {**vars(line), "goal": goal, "median": line.median, "judged": line.judged, "met": line.met}
