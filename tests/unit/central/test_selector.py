"""Selectors mean what kubectl's `-l` means; checked against a plain reading of the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.compose import normalise_selector, parse_selector
from shared.errors import UsageError

KEYS = st.sampled_from(["site", "canal", "munbon.io/tier", "a", "in", "notin"])
VALUES = st.sampled_from(["north", "south", "x-1", "A_b.c", "in", "0"])
LABELS = st.dictionaries(KEYS, VALUES, max_size=4)
BLANK = st.sampled_from(["", " ", "\t "])


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, object]:
    """A spelling of one condition, and what it means as a plain function."""
    key, b1, b2 = draw(KEYS), draw(BLANK), draw(BLANK)
    form = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "exists", "missing"]))
    if form in ("=", "==", "!="):
        value = draw(VALUES)
        wanted = form != "!="
        return f"{b1}{key}{b2}{form}{b1}{value}{b2}", lambda labels: (labels.get(key) == value) is wanted
    if form in ("in", "notin"):
        values = draw(st.lists(VALUES, min_size=1, max_size=3))
        text = f"{b1}{key} {form}{b2}({b1}{f'{b2},{b1}'.join(values)}{b2}){b1}"
        return text, lambda labels: (key in labels and labels[key] in values) is (form == "in")
    if form == "exists":
        return f"{b1}{key}{b2}", lambda labels: key in labels
    return f"{b1}!{b2}{key}{b1}", lambda labels: key not in labels


@given(st.lists(conditions(), max_size=4), LABELS)
def test_a_selector_matches_where_every_condition_holds(listed: list[tuple[str, object]], labels: dict[str, str]) -> None:
    selector = parse_selector(",".join(text for text, _ in listed))
    assert selector.matches(labels) is all(holds(labels) for _, holds in listed)  # type: ignore[operator]  # functions from above


@given(st.lists(conditions(), max_size=4))
def test_the_normal_form_is_stable_and_means_the_same(listed: list[tuple[str, object]]) -> None:
    text = ",".join(item for item, _ in listed)
    normal = normalise_selector(text)
    assert normalise_selector(normal) == normal
    assert parse_selector(normal) == parse_selector(text)


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_a_clear_error(text: str) -> None:
    normal = ""
    told = [("selector", True)]
    try:
        normal = str(parse_selector(text))
    except UsageError as error:
        told = [(error.subject, bool(error.remedy))]
    assert told == [("selector", True)]
    assert normalise_selector(normal) == normal


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_a_blank_selector_selects_everything(text: str) -> None:
    assert parse_selector(text).matches({})
    assert normalise_selector(text) == ""


def test_equal_meanings_have_one_spelling() -> None:
    assert normalise_selector("canal in (b, a,b) , site == north") == normalise_selector("site=north,canal in (a,b)")
    assert normalise_selector("site in (north)") == "site=north"
    assert normalise_selector("site notin (north)") == "site!=north"


def test_unequal_also_matches_a_node_without_the_label() -> None:
    assert parse_selector("site!=north").matches({})
    assert parse_selector("site notin (north,south)").matches({"canal": "a"})
    assert not parse_selector("site in (north)").matches({})


def test_the_empty_value_can_be_asked_for() -> None:
    assert parse_selector("site=").matches({"site": ""})
    assert parse_selector("site in (,x)").matches({"site": ""})
    assert not parse_selector("site=").matches({})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("site=north,", "ends with a comma"),
        (",site", "expected a label key"),
        ("site in north", r"expected '\('"),
        ("site in (north", r"no '\)'"),
        ("site in (north south)", "in the list"),
        ("=north", "expected a label key"),
        ("site north", "expected one of"),
        ("site=a=b", "expected ','"),
        ("a>1", "expected one of"),
        ("!", "found the end"),
        ("-site", "cannot be a label key"),
        ("Site/x", "cannot be a label key"),
        ("a/b/c", "cannot be a label key"),
        ("site=-north", "cannot be a label value"),
        ("site=" + "x" * 64, "at most 63"),
        ("k" * 64, "cannot be a label key"),
        ("site=ä", "cannot be a label value"),
    ],
)
def test_a_wrong_selector_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_selector(text)
