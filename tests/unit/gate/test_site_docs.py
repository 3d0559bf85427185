"""What is written about `site.yaml` is what the code says."""

import json
from pathlib import Path

from deploy import schemas, site_docs
from deploy.site_words import MEANINGS

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def test_the_page_is_that_of_the_code() -> None:
    assert site_docs.TARGET.read_text(encoding="utf-8") == site_docs.render(), "run: make schemas"


def test_the_schema_is_that_of_the_code_and_says_what_keys_mean() -> None:
    text = (REFERENCE / "schemas" / "site.json").read_text(encoding="utf-8")
    assert text == schemas.rendered("site"), "run: make schemas"
    defined = json.loads(text)["$defs"]
    assert defined["LevelLoop"]["properties"]["kp_m2_per_s"]["description"] == "m3/s per m of error."
    assert defined["PoolDynamics"]["additionalProperties"] is False


def test_every_word_belongs_to_a_key() -> None:
    keys = {f"{name}.{info.alias or field}" for name, model in site_docs.models().items() for field, info in model.model_fields.items()}
    assert set(MEANINGS) <= keys


def test_every_figure_has_a_unit() -> None:
    page = site_docs.TARGET.read_text(encoding="utf-8")
    for line in page.splitlines():
        if line.startswith("| `") and any(line.startswith(f"| `{key}`") for key in ("delay_s", "area_m2", "kp_m2_per_s", "bank_m")):
            assert line.split("|")[2].strip(), line
