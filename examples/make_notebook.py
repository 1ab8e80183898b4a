"""examples/tutorial.ipynb from examples/tutorial.py: ``python examples/make_notebook.py``.

The script is the source: its cells begin with ``# %%``, or ``# %% [markdown]`` for text, each line of which is a
comment. The cells are run and stored with what they print and draw. Needs the extra ``vizcallbacks[test]``.
"""

import base64
import io
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

SCRIPT = Path(__file__).with_name("tutorial.py")
NOTEBOOK = SCRIPT.with_suffix(".ipynb")


def cells_of(source):
    """The cells of a script's text: a list of (kind, source), kind "code" or "markdown"."""
    cells = []
    for text in re.split(r"^# %%", source, flags=re.MULTILINE)[1:]:
        head, _, body = text.partition("\n")
        if head.strip() == "[markdown]":
            cells.append(("markdown", re.sub(r"^# ?", "", body, flags=re.MULTILINE).strip("\n")))
        else:
            cells.append(("code", body.strip("\n")))
    return cells


def notebook_of(source):
    """The script as a notebook that has not run yet."""
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    cells = [make[kind](text, id=f"cell-{number}") for number, (kind, text) in enumerate(cells_of(source))]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


def run(notebook, folder):
    """Run all cells in a folder; the notebook gets their outputs."""
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of the run
        if cell.cell_type == "code":
            cell.outputs = _tidied(cell.outputs)
    return notebook


def _tidied(outputs):
    """Pictures as JPEG, a sixth of their PNG's size; neighbouring pieces of one stream in one piece."""
    tidied = []
    for output in outputs:
        if "image/png" in output.get("data", {}):
            output.data["image/jpeg"] = _as_jpeg(output.data.pop("image/png"))
        if output.output_type == "stream" and tidied and tidied[-1].get("name") == output.name:
            tidied[-1].text += output.text
        else:
            tidied.append(output)
    return tidied


def _as_jpeg(png):
    picture, file = Image.open(io.BytesIO(base64.b64decode(png))), io.BytesIO()
    picture.convert("RGB").save(file, "jpeg", quality=72, optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        finished = run(notebook_of(SCRIPT.read_text(encoding="utf-8")), folder)
    nbformat.write(finished, NOTEBOOK)
    print(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size / 1000:.0f} kB")
