"""The plot: how far each goal is reached, as bars in an SVG."""
from html import escape
from report import said, with_unit

ROW, TOP, LEFT, WIDTH, RIGHT = 26, 44, 250, 330, 260
# Longer bars are cut off; the number beside them says how long they are.
MOST = 2.5

# Colours that hold on white and on black; who shows the picture says which it is.
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .quiet { fill: #59636e }
  .goal { stroke: #1f2328; stroke-width: 1.5 }
  .met { fill: #2a7de1 }
  .missed { fill: #d9730d }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .goal { stroke: #f0f6fc }
  }
"""


def bar(line, y):
    length = min(line.goal.reached(line.judged), MOST) / MOST * WIDTH
    value = f"{with_unit(line.judged, line.unit)} (goal {said(line.goal, line.unit)})"
    middle, colour = y + ROW / 2 + 4, "met" if line.met else "missed"
    return (
        f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(line.label)}</text>'
        f'<rect class="{colour}" x="{LEFT}" y="{y + 5}" width="{length:.1f}" height="{ROW - 10}" rx="2"/>'
        f'<text class="quiet" x="{LEFT + WIDTH + 10}" y="{middle}">{escape(value)}</text>'
    )


def plot(lines):
    """One bar for each line whose goal has a size. All goals stand at one place: a bar that reaches it has met it."""
    lines = [line for line in lines if line.goal and line.goal.limit]
    height = TOP + ROW * len(lines) + 12
    goal = LEFT + WIDTH / MOST
    bars = "\n".join(bar(line, TOP + ROW * place) for place, line in enumerate(lines))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" height="{height}" \
viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" role="img" aria-label="How far Claviger reaches its goals of speed">
<style>{STYLE}</style>
<text x="{goal}" y="20" text-anchor="middle">goal</text>
<text class="quiet" x="{goal + 30}" y="20">better →</text>
{bars}
<line class="goal" x1="{goal}" y1="28" x2="{goal}" y2="{height - 6}"/>
</svg>
"""
