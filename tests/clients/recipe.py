"""Writes the marked code of a page under docs/verify/ to a folder: what is run is what is read.

    recipe.py PAGE FOLDER

A block is marked by a line `<!-- run: NAME -->` before it.
"""

import pathlib
import re
import sys

page, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
blocks = re.findall(r"^<!-- run: ([\w.]+) -->\n```\w+\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
if not blocks:
    sys.exit(f"{page} has no block that is marked to be run")
for name, text in blocks:
    (folder / name).write_text(text)
