"""A project file that is wrong says where, what stands there, which rule it breaks and what would be right."""

# ruff: noqa: ISC004 - tables of messages that are compared whole

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fairlead.errors import ProjectError
from fairlead.spec import Contract, Project, load_contract, load_project, parse_contract, parse_project

PROJECT = """\
apiVersion: fairlead/v1
name: fraud
problem:
  statement: Stop fraud
  owner: risk
data:
  source: {kind: csv, uri: a.csv}
  target: y
model:
  task: classification
  candidates: [logistic]
"""

CONTRACT = """\
apiVersion: fairlead.contract/v1
columns:
  a: {type: number}
"""


def complaint(text: str, *, of: Any = parse_project) -> list[str]:
    """The lines of the error, without the first, which counts them."""
    with pytest.raises(ProjectError) as caught:
        of(text)
    first, *lines = caught.value.message.splitlines()
    if lines:
        assert first.endswith(f": {len(lines)} mistake{'s' * (len(lines) > 1)}")
    return [line.strip() for line in lines] or [first]


METRICS = "accuracy, average_precision, brier, f1, false_positive_rate, log_loss, precision, recall, roc_auc, value_per_1000"

ONE_MISTAKE = {
    "misspelt key": ("owner: risk", "owner: risk\n  ownr: x",
        "line 6, column 3: problem.ownr: there is no such key (did you mean 'owner'?)"),
    "key that is like no other": ("owner: risk", "owner: risk\n  zzz: x",
        "line 6, column 3: problem.zzz: there is no such key (known: owner, statement, value)"),
    "missing key": ("  owner: risk\n", "",
        "line 4, column 3: problem.owner: this key is required"),
    "missing key at the top": ("name: fraud\n", "",
        "line 1, column 1: name: this key is required"),
    "key given twice": ("owner: risk", "owner: risk\n  owner: x",
        "line 6, column 3: problem.owner: this key is given twice"),
    "key that is a list": ("owner: risk", "owner: risk\n  [a, b]: x",
        "line 6, column 3: problem: a key must be plain text"),
    "key that is a number": ("owner: risk", "owner: risk\n  1: x",
        "line 6, column 6: problem.1: a key must be text (put it in quotes)"),
    "text that YAML reads as true": ("owner: risk", "owner: yes",
        "line 5, column 10: problem.owner = yes: must be text (put it in quotes)"),
    "text that YAML reads as a date": ("target: y", "target: 2024-01-01",
        "line 8, column 11: data.target = 2024-01-01: must be text (put it in quotes)"),
    "word that is not allowed": ("task: classification", "task: clasification",
        "line 10, column 9: model.task = clasification: must be one of classification, regression, forecast, "
        "clustering (did you mean 'classification'?)"),
    "word like none that is allowed": ("task: classification", "task: 7",
        "line 10, column 9: model.task = 7: must be one of classification, regression, forecast, clustering"),
    "later version": ("fairlead/v1", "fairlead/v2",
        "line 1, column 13: apiVersion = fairlead/v2: must be fairlead/v1"),
    "name that Kubernetes refuses": ("name: fraud", "name: Fraud_1",
        "line 2, column 7: name = Fraud_1: must match ^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"),
    "source without kind": ("{kind: csv, uri: a.csv}", "{uri: a.csv}",
        "line 7, column 11: data.source = {uri: a.csv}: the key 'kind' is required here"),
    "source of no kind": ("kind: csv", "kind: cvs",
        "line 7, column 11: data.source = {kind: cvs, uri: a.csv}: kind must be one of csv, parquet, jsonl, sql, "
        "texts, images (did you mean 'csv'?)"),
    "source that is text": ("{kind: csv, uri: a.csv}", "a.csv",
        "line 7, column 11: data.source = a.csv: must be a mapping of keys to values"),
    "misspelt key of a source": ("uri: a.csv", "uri: a.csv, delimeter: ;",
        "line 7, column 35: data.source.delimeter: there is no such key (did you mean 'delimiter'?)"),
    "key of another kind of source": ("{kind: csv, uri: a.csv}", "{kind: parquet, uri: a, delimiter: x}",
        "line 7, column 35: data.source.delimiter: there is no such key (known: kind, uri)"),
    "too many entries": ("{kind: csv, uri: a.csv}", "{kind: images, uri: a, size: [1, 2, 3]}",
        "line 7, column 40: data.source.size = [1, 2, 3]: must not have more entries than 2"),
    "no candidates": ("[logistic]", "[]",
        "line 11, column 15: model.candidates = []: must not have fewer entries than 1"),
    "candidates that are no list": ("[logistic]", "logistic",
        "line 11, column 15: model.candidates = logistic: must be a list"),
    "candidate that is a number": ("[logistic]", "[3]",
        "line 11, column 16: model.candidates.0 = 3: must be a short name, {name, space} or {use, space}"),
    "candidate that is a list": ("[logistic]", "[logistic, [forest]]",
        "line 11, column 26: model.candidates.1 = [forest]: must be a short name, {name, space} or {use, space}"),
    "misspelt key of a candidate": ("[logistic]", "[{name: logistic, spcae: {}}]",
        "line 11, column 33: model.candidates.0.spcae: there is no such key (did you mean 'space'?)"),
    "misspelt key of a custom candidate": ("[logistic]", "[{use: 'a:b', spcae: {}}]",
        "line 11, column 29: model.candidates.0.spcae: there is no such key (did you mean 'space'?)"),
    "import path without a function": ("[logistic]", "[{use: a.b}]",
        r"line 11, column 22: model.candidates.0.use = a.b: must match ^[\w.]+:\w+$"),
    "search space that is a number": ("[logistic]", "[{name: logistic, space: {C: 3}}]",
        "line 11, column 44: model.candidates.0.space.C = 3: must be a list of choices or a range "
        "{low, high, log, step}"),
    "search space with a misspelt key": ("[logistic]", "[{name: logistic, space: {C: {lo: 1, high: 3}}}]",
        "line 11, column 44: model.candidates.0.space.C = {lo: 1, high: 3}: a range has low, high, log and step, but "
        "no lo"),
    "range that is upside down": ("[logistic]", "[{name: logistic, space: {C: {low: 3, high: 1}}}]",
        "line 11, column 44: model.candidates.0.space.C = {low: 3, high: 1}: low must be below high"),
    "logarithm of zero": ("[logistic]", "[{name: logistic, space: {C: {low: 0, high: 1, log: true}}}]",
        "line 11, column 44: model.candidates.0.space.C = {low: 0, high: 1, log: true}: a logarithmic range must "
        "start above 0"),
    "log that is no truth value": ("[logistic]", "[{name: logistic, space: {C: {low: 1, high: 2, log: maybe}}}]",
        "line 11, column 44: model.candidates.0.space.C = {low: 1, high: 2, log: maybe}: log must be true or false"),
    "range without an end": ("[logistic]", "[{name: logistic, space: {C: {low: -.inf, high: 1}}}]",
        "line 11, column 44: model.candidates.0.space.C = {low: -.inf, high: 1}: low and high must be finite"),
    "number that is text": ("[logistic]", "[logistic]\n  search: {folds: many}",
        "line 12, column 19: model.search.folds = many: must be a whole number"),
    "number below its bound": ("[logistic]", "[logistic]\n  search: {trials: 0}",
        "line 12, column 20: model.search.trials = 0: must be greater than or equal to 1"),
    "number that is not finite": ("[logistic]", "[logistic]\n  gates: [{metric: f1, at_least: .nan}]",
        "line 12, column 34: model.gates.0.at_least = .nan: must be a finite number"),
    "gate without a bar": ("[logistic]", "[logistic]\n  gates: [{metric: f1}]",
        "line 12, column 11: model.gates.0 = {metric: f1}: a gate needs at_least, at_most, better_than or "
        "not_worse_than"),
    "gate on an unknown metric": ("[logistic]", "[logistic]\n  gates: [{metric: roc_au, at_least: 1}]",
        "line 12, column 20: model.gates.0.metric = roc_au: no stage measures this for classification; measured are "
        + METRICS),
    "gate on money without a value": ("[logistic]", "[logistic]\n  gates: [{metric: value_per_1000, at_least: 1}]",
        "line 12, column 20: model.gates.0.metric = value_per_1000: value_per_1000 needs problem.value"),
    "objective of another task": ("[logistic]", "[logistic]\n  objective: mae",
        f"line 12, column 14: model.objective = mae: no stage measures this for classification; measured are {METRICS}"),
    "too little left for training": ("target: y", "target: y\n  split: {valid: 0.5, test: 0.45}",
        "line 9, column 10: data.split = {valid: 0.5, test: 0.45}: valid + test is 0.95; at least 0.1 must be left for "
        "training"),
    "split by an unknown time": ("target: y", "target: y\n  split: {method: time}",
        "line 9, column 19: data.split.method = time: a split by time needs data.time"),
    "split by an unknown group": ("target: y", "target: y\n  split: {method: group}",
        "line 9, column 19: data.split.method = group: a split by group needs data.group"),
    "target missing": ("  target: y\n", "",
        "line 7, column 3: data: task classification needs data.target"),
    "series for a classification": ("target: y", "target: y\n  series: {value: x}",
        "line 9, column 11: data.series = {value: x}: task classification takes no series"),
    "target for a clustering": ("task: classification", "task: clustering",
        "line 8, column 11: data.target = y: task clustering takes no target"),
    "positive class of a regression": ("task: classification", "task: regression\n  positive: a",
        "line 11, column 13: model.positive = a: task regression has no positive class"),
    "stratified regression": ("target: y\nmodel:\n  task: classification",
        "target: y\n  split: {method: stratified}\nmodel:\n  task: regression",
        "line 9, column 19: data.split.method = stratified: stratified is for classification"),
    "incomplete outcome values": ("owner: risk", "owner: risk\n  value: {currency: EUR, correct: 1}",
        "line 6, column 10: problem.value = {currency: EUR, correct: 1}: this group must be complete: correct, wrong"),
    "outcome values of another task": ("owner: risk", "owner: risk\n  value: {currency: EUR, over: -1, under: -1}",
        "line 6, column 10: problem.value = {currency: EUR, over: -1, under: -1}: the value of classification is given "
        "by the four cells, or correct and wrong"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_one_mistake_is_one_line_with_place_value_rule_and_way_out(old: str, new: str, said: str) -> None:
    assert old in PROJECT
    assert complaint(PROJECT.replace(old, new)) == [said]


def test_all_mistakes_are_listed_in_the_order_of_the_file() -> None:
    text = (
        PROJECT.replace("name: fraud", "name: F")
        .replace("owner", "ownr")
        .replace("[logistic]", "[3, forest, 4]")
    )
    assert [line.split(":")[0] for line in complaint(text)] == [
        "line 2, column 7", "line 4, column 3", "line 5, column 3", "line 11, column 16", "line 11, column 27",
    ]  # fmt: skip


def test_what_does_not_fit_the_task_is_listed_whole() -> None:
    said = complaint(PROJECT.replace("task: classification", "task: forecast"))
    assert said == [
        "line 7, column 3: data: task forecast needs data.series",
        "line 7, column 3: data: task forecast needs data.time",
        "line 8, column 11: data.target = y: task forecast takes no target",
    ]


CONTRACT_MISTAKES = {
    "misspelt type": ("{type: nummber}",
        "line 3, column 13: columns.a.type = nummber: must be one of number, integer, boolean, category, text, datetime "
        "(did you mean 'number'?)"),
    "column that is only a type": ("number",
        "line 3, column 6: columns.a = number: must be a mapping of keys to values"),
    "bounds upside down": ("{type: number, minimum: 3, maximum: 1}",
        "line 3, column 6: columns.a = {type: number, minimum: 3, maximum: 1}: minimum 3 is above maximum 1"),
    "rule of another type": ("{type: number, values: [a]}",
        "line 3, column 6: columns.a = {type: number, values: [a]}: values does not apply to type number"),
    "parts of a number": ("{type: number, parts: [hour]}",
        "line 3, column 6: columns.a = {type: number, parts: [hour]}: parts does not apply to type number"),
    "category that is not quoted": ("{type: category, values: [yes, 'no']}",
        "line 3, column 32: columns.a.values.0 = yes: must be text (put it in quotes)"),
    "category twice": ("{type: category, values: [a, a]}",
        "line 3, column 6: columns.a = {type: category, values: [a, a]}: values has an entry twice"),
    "no categories": ("{type: category, values: []}",
        "line 3, column 31: columns.a.values = []: must not have fewer entries than 1"),
    "pattern that is none": ("{type: text, pattern: '['}",
        "line 3, column 28: columns.a.pattern = '[': is not a regular expression: unterminated character set at "
        "position 0"),
    "unknown part of a date": ("{type: datetime, parts: [hours]}",
        "line 3, column 31: columns.a.parts.0 = hours: must be one of hour, weekday, day, month, weekend "
        "(did you mean 'hour'?)"),
    "bound that is no number": ("{type: number, minimum: .nan}",
        "line 3, column 30: columns.a.minimum = .nan: must be a finite number"),
}  # fmt: skip


@pytest.mark.parametrize(("column", "said"), CONTRACT_MISTAKES.values(), ids=CONTRACT_MISTAKES)
def test_a_mistake_in_a_contract_is_told_in_the_same_way(column: str, said: str) -> None:
    assert complaint(CONTRACT.replace("{type: number}", column), of=parse_contract) == [said]


NOT_YAML = {
    "unclosed list": ("a: [", "not valid YAML: line 1, column 5: expected the node content, but found '<stream end>'"),
    "tabulator": ("\ta: 1", "not valid YAML: line 1, column 1: found character '\\t' that cannot start any token"),
    "unknown alias": ("a: *x", "not valid YAML: line 1, column 4: found undefined alias 'x'"),
    "two documents": ("a: 1\n---\nb: 2", "not valid YAML: line 2, column 1: but found another document"),
    "a date that does not exist": ("a: 2024-13-01", "not valid YAML: month must be in 1..12"),
    "a Python object": ("a: !!python/object:os.system x", "not valid YAML: line 1, column 4: could not determine a "
                        "constructor for the tag 'tag:yaml.org,2002:python/object:os.system'"),
    "an alias that holds itself": ("a: &x [*x]", "nested too deeply, or an alias holds itself"),
    "nothing": ("", "must be a mapping of keys to values, but is empty"),
    "a list": ("- a", "must be a mapping of keys to values, but is - a"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), NOT_YAML.values(), ids=NOT_YAML)
def test_what_is_no_project_file_at_all_is_told_as_such(text: str, said: str) -> None:
    [line] = complaint(text)
    assert line == f"fairlead.yaml: {said}"


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_gives_a_project_error_and_nothing_else(text: str) -> None:
    with pytest.raises(ProjectError):
        parse_project(text)


def test_a_missing_project_file_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no project file at .*fairlead\.yaml") as caught:
        load_project(tmp_path / "fairlead.yaml")
    assert caught.value.hint == "Start with `fairlead init`."


def test_a_missing_contract_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no data contract at") as caught:
        load_contract(tmp_path / "contract.yaml")
    assert caught.value.hint == "Write a first one: `fairlead data infer`."


def test_a_file_that_is_not_utf8_says_so(tmp_path: Path) -> None:
    path = tmp_path / "fairlead.yaml"
    path.write_bytes(b"name: \xff")
    with pytest.raises(ProjectError, match=r"cannot read the project file .*utf-8"):
        load_project(path)


# ------------------------------------------------------------------------------- generated from the models


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType) or get_args(annotation):
        for argument in get_args(annotation):
            yield from models_in(argument)


def all_models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Every model reachable from *model*, by name."""
    found = {model.__name__: model}
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            if inner.__name__ not in found:
                found |= all_models(inner)
    return found


MODELS = all_models(Project) | all_models(Contract)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_refuses_unknown_keys(name: str) -> None:
    schema = MODELS[name].model_json_schema()
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_says_what_it_is(name: str) -> None:
    assert MODELS[name].__doc__


FULL = """\
apiVersion: fairlead/v1
name: fraud
problem:
  statement: Stop fraud
  owner: risk
  value: {currency: EUR, true_positive: 1, false_positive: 1, false_negative: 1, true_negative: 1}
data:
  source: {kind: csv, uri: a.csv}
  target: y
  clean: {duplicates: drop}
  split: {seed: 1}
model:
  task: classification
  candidates:
    - {name: logistic}
    - {use: "a:b"}
  search: {trials: 1}
  gates:
    - {metric: f1, at_least: 0.5}
"""
LEVELS = {
    "top": ("name: fraud", "name: fraud\nxyzzy: 1"),
    "problem": ("  owner: risk", "  owner: risk\n  xyzzy: 1"),
    "value": ("currency: EUR", "currency: EUR, xyzzy: 1"),
    "data": ("  target: y", "  target: y\n  xyzzy: 1"),
    "source": ("kind: csv", "kind: csv, xyzzy: 1"),
    "clean": ("duplicates: drop", "duplicates: drop, xyzzy: 1"),
    "split": ("seed: 1", "seed: 1, xyzzy: 1"),
    "model": ("task: classification", "task: classification\n  xyzzy: 1"),
    "built-in candidate": ("name: logistic", "name: logistic, xyzzy: 1"),
    "custom candidate": ('use: "a:b"', 'use: "a:b", xyzzy: 1'),
    "search": ("trials: 1", "trials: 1, xyzzy: 1"),
    "gate": ("metric: f1", "metric: f1, xyzzy: 1"),
}


def test_the_file_that_the_levels_are_tried_on_is_right() -> None:
    assert parse_project(FULL).name == "fraud"


@pytest.mark.parametrize(("old", "new"), LEVELS.values(), ids=LEVELS)
def test_an_unknown_key_is_refused_where_it_stands(old: str, new: str) -> None:
    text = FULL.replace(old, new)
    [line] = complaint(text)
    number = next(number for number, line in enumerate(text.splitlines(), 1) if "xyzzy" in line)
    column = text.splitlines()[number - 1].index("xyzzy") + 1
    assert line.startswith(f"line {number}, column {column}: ")
    assert ".xyzzy: there is no such key" in f".{line.split(': ', 1)[1]}"


# ------------------------------------------------------------------------------------------ what is right


EXAMPLES = sorted(Path(__file__).parents[3].glob("examples/*/fairlead.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_are_right(path: Path) -> None:
    project = load_project(path)
    assert project.name == load_project(path).name
    assert load_contract(path.parent / project.data.contract).columns


def test_the_json_schema_for_editors_names_what_is_required_and_allows_nothing_unknown() -> None:
    schema = Project.model_json_schema()
    assert schema["required"] == ["apiVersion", "name", "problem", "data", "model"]
    assert schema["additionalProperties"] is False


def test_the_json_schema_for_editors_offers_all_three_forms_of_a_candidate() -> None:
    forms = Project.model_json_schema()["$defs"]["Model"]["properties"]["candidates"]["items"]["oneOf"]
    assert forms == [{"type": "string"}, {"$ref": "#/$defs/Candidate"}, {"$ref": "#/$defs/CustomCandidate"}]


def test_splits_may_leave_exactly_a_tenth_for_training() -> None:
    project = parse_project(PROJECT.replace("target: y", "target: y\n  split: {valid: 0.4, test: 0.5}"))
    assert project.data.split.valid == 0.4


@pytest.mark.parametrize(
    ("candidate", "kind"),
    [("logistic", "str"), ("{name: logistic}", "Candidate"), ("{use: 'a:b'}", "CustomCandidate")],
)
def test_a_candidate_is_what_it_looks_like(candidate: str, kind: str) -> None:
    project = parse_project(PROJECT.replace("[logistic]", f"[{candidate}]"))
    assert type(project.model.candidates[0]).__name__ == kind


def test_a_search_space_keeps_lists_and_ranges() -> None:
    text = "[{name: logistic, space: {C: {low: 0.1, high: 1}, penalty: [l1, l2]}}]"
    [candidate] = parse_project(PROJECT.replace("[logistic]", text)).model.candidates
    assert candidate.space == {"C": {"low": 0.1, "high": 1}, "penalty": ["l1", "l2"]}  # type: ignore[union-attr]
