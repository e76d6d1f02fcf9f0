# SPDX-License-Identifier: GPL-2.0-or-later
"""schema_check.py - holds the JSON documents of mirrorctl to their schemas, and these to the man pages

    schema_check.py SCHEMAS PAGES RUNS

RUNS has for each run of mirrorctl --json what it printed, ID.out, and ID.args: its exit code and its
arguments, each with a NUL behind it.  With --follow or --watch it is a document a line; so are events of
progress, which come with the argument progress-event alone.  A schema lets documents have more fields, for readers are to ignore
what they don't know; here a field that the schema doesn't have is an error, and so is one of the schema that
no document has had: then the tests lack a situation, or the field is no more.
"""
import copy
import json
import pathlib
import re
import sys

from jsonschema import Draft202012Validator

schemas_dir, pages_dir, runs_dir = map(pathlib.Path, sys.argv[1:4])
complaints = []


def complain(text):
    complaints.append(text)


def without_twins(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a field is there twice")
    return dict(pairs)


def strict(schema, common):
    """With what is in common.json in the place of references, and no fields but those named."""
    if isinstance(schema, list):
        return [strict(part, common) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = re.fullmatch(r"(common\.json)?#/\$defs/([a-z_]+)", schema["$ref"])[2]
        return strict(copy.deepcopy(common[name]), common)
    made = {key: value if key == "if" else strict(value, common) for key, value in schema.items()}
    if "properties" in made:
        made["additionalProperties"] = False
    return made


def fields_of_schema(schema):
    if isinstance(schema, list):
        for part in schema:
            yield from fields_of_schema(part)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                yield from value
                value = list(value.values())
            yield from fields_of_schema(value)


def fields_of_document(document):
    for part in document.values() if isinstance(document, dict) else document:
        if isinstance(part, (dict, list)):
            yield from fields_of_document(part)
    if isinstance(document, dict):
        yield from document


def schema_name(args):
    if args[0] in schemas:
        return args[0]
    words = [word for word in args[1:] if not word.startswith("-")]
    return f"{args[0]}-{words[0]}" if words else args[0]


def documents_of(args, output):
    if args[0] == "progress-event" or {"--follow", "--watch"} & set(args):
        return output.splitlines(keepends=True)
    return [output]


def pages_of(name, fields):
    """First the verb's own, then those that it refers to."""
    if name == "progress-event":
        return ["mirrorctl-sync.8", "mirrorctl.8"]
    pages = [f"mirrorctl-{name.split('-')[0]}.8", "mirrorctl-replica.8", "mirrorctl.8"]
    return pages + ["mirrorctl-sync.8"] if "full_copies" in fields else pages


common = json.loads((schemas_dir / "common.json").read_text())["$defs"]
schemas, seen = {}, {}
for path in sorted(schemas_dir.glob("*.json")):
    raw = json.loads(path.read_text(), object_pairs_hook=without_twins)
    Draft202012Validator.check_schema(raw)
    if path.stem != "common":
        schemas[path.stem] = strict(raw, common)
        seen[path.stem] = set()

for path in sorted(runs_dir.glob("*.args")):
    code, *args = path.read_bytes().split(b"\0")[:-1]
    args = [arg.decode("utf-8", "surrogateescape") for arg in args]
    what = "mirrorctl " + ascii(" ".join(args))
    output = path.with_suffix(".out").read_bytes()
    if not output:
        if code == b"0":
            complain(f"{what}: no document, though it has not failed")
        continue
    name = schema_name(args)
    if name not in schemas:
        complain(f"{what}: there is no {schemas_dir}/{name}.json")
        continue
    for text in documents_of(args, output):
        try:
            document = json.loads(text.decode("utf-8"), object_pairs_hook=without_twins)
        except ValueError as error:
            complain(f"{what}: no JSON document: {error}: {text!r}")
            continue
        for error in Draft202012Validator(schemas[name]).iter_errors(document):
            complain(f"{what}: {error.json_path}: {error.message}")
        seen[name].update(fields_of_document(document))

for name, schema in schemas.items():
    fields = set(fields_of_schema(schema))
    if not seen[name]:
        complain(f"{name}.json: no such document was printed by these tests")
        continue
    for field in sorted(fields - seen[name]):
        complain(f"{name}.json: no document had the field {field}")
    pages = "".join((pages_dir / page).read_text() for page in pages_of(name, fields))
    pages = pages.replace("\\", "")
    for field in sorted(fields):
        if not re.search(rf"\b{field}\b", pages):
            complain(f"{name}.json: field {field} is not in {pages_of(name, fields)[0]}")

for complaint in complaints:
    print(complaint)
sys.exit(1 if complaints else 0)
