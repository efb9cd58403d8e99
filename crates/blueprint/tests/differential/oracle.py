"""Makes blueprints from seeds and asks the stock dsl_parser what they mean.

    python oracle.py FIRST COUNT TYPES

prints one JSON object a line: the request (`dsl`, `imports`, `inputs`) and the answer
(`plan`, `deployment`, or `error` with its `type` and `code`). Needs cloudify-common[dispatcher].
"""

import copy
import json
import random
import sys

import yaml
from dsl_parser import exceptions, parser, tasks
from dsl_parser.import_resolver.abstract_import_resolver import AbstractImportResolver

TYPES_URL = "http://test/types.yaml"
PART_URL = "http://test/part.yaml"
DEPENDS_ON = "cloudify.relationships.depends_on"
CONNECTED_TO = "cloudify.relationships.connected_to"
CONTAINED_IN = "cloudify.relationships.contained_in"
SCALARS = [1, 0, -3, 1.5, True, False, "text", "yes", "80", "", "it's", [1, 2], {"a": 1},
           ["x", {"k": "v"}], {"a": {"b": [1, {"c": "d"}]}}, {}]
BUILT_IN = ["string", "integer", "float", "boolean", "list", "dict", "regex"]
VALUES = {"string": ["s", "t u", "1", ""], "integer": [1, 2, 80, -1], "float": [1.5, 2, 0.1],
          "boolean": [True, False], "list": [[], [1, "a"], [{"k": 1}]],
          "dict": [{}, {"k": 1}, {"k": {"l": ["m"]}}], "regex": ["^a.*$"], None: SCALARS}


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


class Maker:
    """Makes one blueprint; what it made so far decides what may come next."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.data_types, self.inputs, self.nodes = {}, {}, {}

    def chance(self, likely):
        return self.random.random() < likely

    def pick(self, items):
        return self.random.choice(list(items))

    def value(self, type_name):
        if type_name not in self.data_types:
            return copy.deepcopy(self.pick(VALUES[type_name]))
        properties = self.data_types[type_name].items()
        return {name: self.value(of.get("type")) for name, of in properties
                if "default" not in of or self.chance(0.5)}

    def schema(self):
        made = {}
        for index in range(self.random.randint(0, 3)):
            of = {"type": self.pick(BUILT_IN + list(self.data_types))} if self.chance(0.6) else {}
            if self.chance(0.6):
                of["default"] = self.value(of.get("type"))
            if self.chance(0.2):
                of["required"] = self.chance(0.5)
            made[f"p{index}"] = of
        return made

    def function(self, here, depth=0):
        kinds = ["get_secret", "concat", "string_replace", "string_split", "string_find", "merge"]
        kinds += ["get_input"] * bool(self.inputs) + ["get_attribute", "get_property"] * bool(self.nodes)
        kind = self.pick(kinds if depth < 2 else kinds[:1] + kinds[6:])
        if kind == "get_input":
            return {kind: self.pick(self.inputs)}
        if kind in ("get_attribute", "get_property"):
            node = self.pick(self.nodes)
            words = {"node": ["SELF"], "relationship": ["SOURCE", "TARGET"], "out": []}[here]
            path = self.pick(self.nodes[node] or ["missing"])
            return {kind: [self.pick(words) if words and self.chance(0.3) else node, path]}
        return {
            "get_secret": {kind: f"secret{depth}"},
            "concat": {"concat": ["a", self.pick(SCALARS), self.function(here, depth + 1)]},
            "string_replace": {"string_replace": ["a-b-c", "-", "_"]},
            "string_split": {"string_split": ["a,b,c", ",", self.random.randint(-1, 2)]},
            "string_find": {"string_find": ["haystack", self.pick(["st", "zz"])]},
            "merge": {"merge": [{"a": 1}, {"b": self.pick(SCALARS)}]},
        }[kind]

    def value_or_function(self, type_name, here):
        return self.function(here) if self.chance(0.25) else self.value(type_name)

    def operation(self, of_type, here):
        if self.chance(0.2):
            return self.pick(["", "plug.module.function", "other.a.b"])
        made = {"implementation": self.pick(["plug.module.function", "other.x.y", ""])}
        names = ["i0", "i1", "i2"][:self.random.randint(0, 3)]
        if of_type:
            made["inputs"] = {name: {"default": self.value(None)} for name in names}
        else:
            made["inputs"] = {name: self.value_or_function(None, here) for name in names}
        if self.chance(0.2):
            made["executor"] = "central_deployment_agent"
        if self.chance(0.2):
            made["max_retries"] = self.pick([0, 1, -1])
        return made

    def interfaces(self, of_type, here="node"):
        names = self.random.sample(["cloudify.interfaces.lifecycle", "my.interface"], 1)
        operations = self.random.sample(["create", "start", "stop", "go"], 2)
        return {name: {it: self.operation(of_type, here) for it in operations} for name in names}

    def blueprint(self):
        version = self.pick(["1_2", "1_3", "1_3", "1_4", "1_5"])
        made = {"tosca_definitions_version": f"cloudify_dsl_{version}"}
        for index in range(self.random.randint(0, 3)):
            self.data_types[f"data{index}"] = self.schema()
        made["data_types"] = {name: {"properties": of} for name, of in self.data_types.items()}
        made["inputs"] = self.inputs = self.schema()
        made["plugins"] = {name: {"executor": "central_deployment_agent", "install": False}
                           for name in ("plug", "other")}
        self.types(made)
        self.templates(made, version)
        outputs = {f"o{index}": {"value": self.value_or_function(None, "out")} for index in range(2)}
        made["outputs"] = outputs
        made["workflows"] = {"wf": {"mapping": "plug.do.it", "parameters": {"a": {"default": 1}}}}
        if version != "1_2":
            self.groups(made)
        given = {name: self.value(of.get("type")) for name, of in self.inputs.items()
                 if "default" not in of or self.chance(0.3)}
        return made, given

    def types(self, made):
        names = ["cloudify.nodes.Root", "cloudify.nodes.Compute", "cloudify.nodes.WebServer"]
        self.schemas = dict.fromkeys(names, {})
        made["node_types"] = {}
        for index in range(self.random.randint(1, 3)):
            parent, own = self.pick(self.schemas), self.schema()
            self.schemas[f"type{index}"] = {**self.schemas[parent], **own}
            made["node_types"][f"type{index}"] = {
                "derived_from": parent, "properties": own, "interfaces": self.interfaces(True)}
        self.relationships = [DEPENDS_ON, CONNECTED_TO, CONTAINED_IN, "linked"]
        made["relationships"] = {"linked": {
            "derived_from": self.pick([DEPENDS_ON, CONNECTED_TO]),
            "properties": {"connection_type": {"default": self.pick(["all_to_all", "all_to_one"])}},
            "source_interfaces": self.interfaces(True)}}

    def templates(self, made, version):
        made["node_templates"] = {}
        types = {f"n{index}": self.pick(self.schemas) for index in range(self.random.randint(1, 6))}
        self.nodes = {name: list(self.schemas[of]) for name, of in types.items()}
        for name, of in types.items():
            template = made["node_templates"][name] = {"type": of}
            template["properties"] = {
                key: self.value_or_function(of.get("type"), "node")
                for key, of in self.schemas[of].items() if "default" not in of or self.chance(0.4)}
            if self.chance(0.5):
                template["interfaces"] = self.interfaces(False)
            earlier = list(types)[:list(types).index(name)]
            relationships = [self.relationship(earlier) for _ in range(2) if earlier]
            contained = [it for it in relationships if it["type"] == CONTAINED_IN]
            template["relationships"] = [it for it in relationships if it not in contained[1:]]
            if version != "1_2" and self.chance(0.4):
                bounds = {"default_instances": self.random.randint(0, 3)}
                template["capabilities"] = {"scalable": {"properties": bounds}}

    def relationship(self, earlier):
        made = {"type": self.pick(self.relationships), "target": self.pick(earlier)}
        if self.chance(0.3):
            made["target_interfaces"] = self.interfaces(False, "relationship")
        return made

    def groups(self, made):
        made["capabilities"] = {"c": {"value": self.value_or_function(None, "out")}}
        members = self.random.sample(list(self.nodes), self.random.randint(1, len(self.nodes)))
        if self.chance(0.4):
            made["groups"] = {"group": {"members": members}}
            bounds = {"default_instances": self.random.randint(1, 3)}
            policy = {"type": "cloudify.policies.scaling", "properties": bounds, "targets": ["group"]}
            made["policies"] = {"scale": policy}


def request(seed, types):
    """One blueprint: sometimes in two files, sometimes with a namespace."""
    maker = Maker(seed)
    made, inputs = maker.blueprint()
    imports = {TYPES_URL: types}
    made["imports"] = [TYPES_URL]
    if made["tosca_definitions_version"] != "cloudify_dsl_1_2" and maker.chance(0.4):
        kept = ("tosca_definitions_version", "imports")
        part = {name: made.pop(name) for name in list(made) if name not in kept}
        imports[PART_URL] = yaml.safe_dump(part, sort_keys=False)
        namespace = maker.pick(["", "ns--"])
        made["imports"].append(namespace + PART_URL)
        if namespace:
            inputs = {namespace + name: value for name, value in inputs.items()}
    return {"dsl": yaml.safe_dump(made, sort_keys=False), "imports": imports, "inputs": inputs}


def answer(asked):
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


def main(first, count, types_path):
    with open(types_path) as file:
        # Without its version the text may be imported by blueprints of earlier ones.
        types = file.read().replace("tosca_definitions_version:", "# version:")
    for seed in range(first, first + count):
        asked = request(seed, types)
        print(json.dumps({"seed": seed, "request": asked, "answer": answer(asked)}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
