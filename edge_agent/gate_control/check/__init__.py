"""Is this `site.yaml` one that can hold water? Reading it, and judging it as a whole.

Takes: the text of `site.yaml`.
Gives: a SiteConfiguration, or every mistake at once with line, reason and remedy.
May import: `gate_control.decide`, `gate_control.model`, `shared`, PyYAML (in `yaml_text` alone).
Never: guesses what a file might have meant, talks to a device, or changes anything.
"""
