"""Makes blueprints from seeds and asks the stock dsl_parser what they mean.

    python oracle.py TYPES FIRST END STEP
    python oracle.py TYPES plugin [PLUGIN_YAML...]

print one JSON object a line: the request (`dsl`, `imports`, `inputs`) and the answer
(`plan`, `deployment`, or `error` with its `type` and `code`). Needs cloudify-common[dispatcher].
"""

import copy
import itertools
import json
import re
import sys

import maker
import plugin
import yaml
from dsl_parser import exceptions, parser, rel_graph, tasks
from dsl_parser.import_resolver.abstract_import_resolver import AbstractImportResolver


class Texts(AbstractImportResolver):
    """Brings the texts of a request."""

    def __init__(self, texts):
        self.texts = texts

    def resolve(self, import_url):
        if import_url not in self.texts:
            raise exceptions.DSLParsingLogicException(13, import_url)
        return self.texts[import_url]

    def fetch_import(self, import_url, **kwargs):
        return self.resolve(import_url)

    def retrieve_plugin(self, import_url, **kwargs):
        return None


def answer(asked):
    # The stock parser draws the ids of node instances by lot, and an `all_to_one` relationship goes
    # to the smallest: which one that is, and so in whose host, would be chance.
    numbers = itertools.count()
    rel_graph.generate_id = lambda: "{0:06d}".format(next(numbers))

    def plain(plan):
        return json.loads(json.dumps(plan, default=str))

    def refusal(error):
        return {"type": type(error).__name__, "code": getattr(error, "err_code", None)}

    try:
        plan = parser.parse(asked["dsl"], resolver=Texts(asked["imports"]))
    except Exception as error:
        return {"error": refusal(error)}
    told = {"plan": plain(plan)}
    try:
        secret = type("Secret", (), {"value": "x"})
        deployment = tasks.prepare_deployment_plan(
            plan, get_secret_method=lambda key: secret, inputs=copy.deepcopy(asked["inputs"]))
        told["deployment"] = plain(deployment)
    except Exception as error:
        told["error"] = refusal(error)
    return told


def small(types):
    """The part of types.yaml that most blueprints are made of: the whole costs a third of a second."""
    text = yaml.safe_load(types)
    root = text["node_types"]["cloudify.nodes.Root"]
    lifecycle = root["interfaces"]["cloudify.interfaces.lifecycle"]
    few = {name: lifecycle[name] for name in ("create", "start", "stop")}
    derived = {"derived_from": "cloudify.nodes.Root"}
    names = (maker.DEPENDS_ON, maker.CONNECTED_TO, maker.CONTAINED_IN)
    return yaml.safe_dump({
        "plugins": {name: text["plugins"][name] for name in ("default_workflows", "script")},
        "node_types": {
            "cloudify.nodes.Root": {**root, "interfaces": {"cloudify.interfaces.lifecycle": few}},
            "cloudify.nodes.Compute": derived, "cloudify.nodes.WebServer": derived},
        "relationships": {name: text["relationships"][name] for name in names},
        "workflows": {"install": text["workflows"]["install"]},
    }, sort_keys=False)


def generated(first, end, step, types):
    few = small(types)
    for seed in range(first, end, step):
        asked = maker.request(seed, types if seed % 100 == 0 else few)
        yield {"seed": seed, "faulty": maker.is_faulty(seed), "request": asked}


def plugins(paths, types):
    """Blueprints that import the AWS plugin's files; where none are given, ones of their shape."""
    texts = {version: plugin.plugin_yaml(version) for version in ("1_3", "1_4", "1_5")}
    if paths:
        named = {path: re.search(r"plugin_(\d_\d)\.yaml$", path) for path in paths}
        texts = {of[1] if of else "1_3": open(path).read() for path, of in named.items()}
    for version, text in texts.items():
        imports = {maker.TYPES_URL: types, maker.PART_URL: text}
        blueprints = [plugin.all_types(version, text, list(imports))]
        if not paths:
            blueprints.append(plugin.blueprint(version, 9, imports, instances=2))
        for dsl in blueprints:
            yield {"seed": version, "request": {"dsl": dsl, "imports": imports, "inputs": {}}}


def main(types_path, *words):
    with open(types_path) as file:
        # Without its version the text may be imported by blueprints of earlier ones.
        types = file.read().replace("tosca_definitions_version:", "# version:")
    rows = plugins(words[1:], types) if words[0] == "plugin" else generated(*map(int, words), types)
    for row in rows:
        print(json.dumps({**row, "answer": answer(row["request"])}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
