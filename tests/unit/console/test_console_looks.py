"""Templates and styles keep to what the content security policy and people's eyes allow."""

import hashlib
import re
from pathlib import Path

import pytest

import dynflow_mp.console

HERE = Path(dynflow_mp.console.__file__).parent
TEMPLATES = sorted((HERE / "templates").glob("*.html"))
STATIC = HERE / "static"
STATES = ("blue", "sky", "green", "red", "orange", "purple", "grey")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_script_style_or_handler_of_its_own(template):
    text = template.read_text()

    assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:|hx-on|\| *safe", text)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r"(?:href|src|action)=[\"']\s*(?:https?:)?//", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_changes_something_has_a_token(template):
    forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", template.read_text(), re.DOTALL)

    assert all("csrf()" in form for form in forms)


def test_files_of_others_are_as_they_were_published():
    table = (STATIC / "vendor" / "README.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", table, re.MULTILINE)

    assert {path.name for path in (STATIC / "vendor").glob("*.js")} == {name for name, _ in rows}
    for name, sum_ in rows:
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == sum_


def colours(dark):
    """The colours by name, of one of the two schemes."""
    light_css, dark_css = (STATIC / "console.css").read_text().split("@media (prefers-color-scheme: dark)", 1)
    css = dark_css if dark else light_css
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", css))


def light(colour):
    """Relative luminance, as WCAG 2 has it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_texts_and_shapes_stand_out_from_the_paper(dark):
    found = colours(dark)

    for paper in ("paper", "sheet", "shade"):
        assert contrast(found["ink"], found[paper]) >= 7
        assert contrast(found["ink-soft"], found[paper]) >= 4.5
        assert contrast(found["link"], found[paper]) >= 4.5
        for name in STATES:
            assert contrast(found[name], found[paper]) >= 3, (name, paper)


def test_each_state_has_a_shape_of_its_own():
    text = (HERE / "templates" / "shapes.html").read_text()
    shapes = dict(re.findall(r'<symbol id="shape-([a-z]+)"[^>]*>(.*?)</symbol>', text))

    assert len(set(shapes.values())) == len(shapes)
    assert {
        "pending",
        "running",
        "success",
        "error",
        "suspended",
        "skipped",
        "cancelled",
        "paused",
        "stopped",
    } <= set(shapes)
