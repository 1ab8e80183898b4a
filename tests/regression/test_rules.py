"""Rules are read as they are written, and nothing else is."""

from __future__ import annotations

import pytest

from vizcallbacks.regression.rules import Rule, parse_rules, split_named

TEXTS = {
    "<= 0.05": ("<=", 0.05, None),
    ">=0.7": (">=", 0.7, None),
    " < .5 ": ("<", 0.5, None),
    "> -1e-3": (">", -0.001, None),
    ">= 0.3 for 90%": (">=", 0.3, 0.9),
    ">= 0.3 for 99.5 %": (">=", 0.3, 0.995),
    "<= 1 for all": ("<=", 1.0, 1.0),
    "within 0.1": ("within", 0.1, None),
    "within noise": ("within", None, None),
    "within noise for 80%": ("within", None, 0.8),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_rule_is_a_relation_a_number_and_perhaps_a_share(text):
    (rule,) = parse_rules({"energy/tag": text})
    assert (rule.relation, rule.bound, rule.share) == TEXTS[text]


@pytest.mark.parametrize("text", TEXTS)
def test_a_rules_text_gives_it_again(text):
    (rule,) = parse_rules({"energy/the tag": text})
    assert parse_rules(split_named([str(rule)])) == (rule,)


def test_a_measure_may_have_several_rules():
    rules = parse_rules({"dead": "<= 0.1", "energy/tag": ["<= 0.05", "<= 0.3 for 95%"]})
    assert rules == (
        Rule("dead", "<=", 0.1),
        Rule("energy/tag", "<=", 0.05),
        Rule("energy/tag", "<=", 0.3, 0.95),
    )


def test_named_texts_of_one_measure_are_gathered():
    assert split_named(["dead<=0.1", "energy/my tag within 0.1 for all", "dead >= 0"]) == {
        "dead": ["<=0.1", ">= 0"],
        "energy/my tag": ["within 0.1 for all"],
    }


WRONG = {
    "no relation": ("0.5", "must be a relation and a number, got '0.5'; forms: '>= 0.7'"),
    "another relation": ("== 0.5", "got '== 0.5'"),
    "no number": (">= a", "got '>= a'"),
    "noise without within": ("<= noise", "got '<= noise'"),
    "no percent": (">= 1 for 90", "got '>= 1 for 90'"),
    "not a number": (">= nan", "got '>= nan'"),
    "infinite": ("<= 1e999", "must be finite, and a width >= 0, got '<= 1e999'"),
    "negative width": ("within -0.1", "a width >= 0, got 'within -0.1'"),
    "no images": (">= 1 for 0%", r"must be in \(0, 100\] %, got '>= 1 for 0%'"),
    "too many": (">= 1 for 101%", r"must be in \(0, 100\] %"),
    "a number": (0.5, "got 0.5"),
    "code": (">= __import__('os')", "must be a relation"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_rule_is_refused_with_what_was_given(case):
    text, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        parse_rules({"dead": [text]})


def test_thresholds_must_be_a_mapping_with_something_in_it():
    with pytest.raises(TypeError, match="must map names to rules, {'dead': '<= 0.1'}, got list"):
        parse_rules(["dead <= 0.1"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got 'dead': 0.5"):
        parse_rules({"dead": 0.5})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="at least one rule"):
        parse_rules({})


@pytest.mark.parametrize("text", ["<= 0.1", "dead", "dead is low", ""])
def test_a_named_rule_has_a_name_and_a_relation(text):
    with pytest.raises(ValueError, match="a rule must be like 'energy/tag <= 0.05'"):
        split_named([text])
