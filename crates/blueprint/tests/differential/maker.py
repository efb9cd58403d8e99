"""Makes blueprints from seeds, whole ones and ones with a fault."""

import copy
import random

import yaml

from mutation import mutate

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


class Maker:
    """Makes one blueprint; what it made so far decides what may come next."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.data_types, self.inputs, self.nodes = {}, {}, {}
        self.namespace = "ns--" if self.chance(0.2) else ""

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
        kinds = ["get_secret", "concat", "string_replace", "string_split", "string_find", "merge",
                 "string_lower", "get_capability", "get_sys", "get_label", "get_consumers"]
        kinds += ["get_input"] * bool(self.inputs) + ["get_attribute", "get_property"] * bool(self.nodes)
        kinds = [kind for kind in kinds if self.version != "1_2" or kind != "merge"]
        kind = self.pick(kinds if depth < 2 else [kind for kind in kinds if kind != "concat"])
        if kind == "get_input":
            return {kind: self.pick(self.inputs)}
        if kind in ("get_attribute", "get_property"):
            node = self.pick(self.nodes)
            words = {"node": ["SELF"], "relationship": ["SOURCE", "TARGET"], "out": []}[here]
            if kind == "get_property" and not self.nodes[node]:
                kind = "get_attribute"
            path = self.pick(self.nodes[node] or ["missing"])
            more = self.pick([[], ["k"], [0]]) if kind == "get_attribute" or self.chance(0.1) else []
            return {kind: [self.pick(words) if words and self.chance(0.3) else node, path] + more}
        inner = self.function(here, depth + 1) if kind == "concat" else None
        return {
            "get_secret": {kind: f"secret{depth}"},
            "concat": {"concat": ["a", self.pick(SCALARS), inner]},
            "string_replace": {"string_replace": ["a-b-c", "-", "_"]},
            "string_split": {"string_split": ["a,b,c", ",", self.random.randint(-1, 2)]},
            "string_find": {"string_find": ["haystack", self.pick(["st", "zz"])]},
            "merge": {"merge": [{"a": 1}, {"b": self.pick(SCALARS)}]},
            "string_lower": {"string_lower": "MiXed"},
            "get_capability": {"get_capability": ["other", "c", self.pick(["k", 0])]},
            "get_sys": {"get_sys": self.pick([["tenant", "name"], ["deployment", "id"]])},
            "get_label": {"get_label": self.pick(["env", ["env", 0]])},
            "get_consumers": {"get_consumers": self.pick(["ids", "names", "count"])},
        }[kind]

    def value_or_function(self, type_name, here):
        return self.function(here) if self.chance(0.25) else self.value(type_name)

    def operation(self, of_type, here):
        # A namespace makes a name of an empty implementation, which is then unknown.
        empty = [] if self.namespace else [""]
        if self.chance(0.2):
            return self.pick(["plug.module.function", "other.a.b"] + empty)
        made = {"implementation": self.pick(["plug.module.function", "other.x.y"] + empty)}
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
        version = self.version = self.pick(["1_2", "1_3", "1_3", "1_4", "1_5"])
        made = {"tosca_definitions_version": f"cloudify_dsl_{version}"}
        for index in range(self.random.randint(0, 3)):
            self.data_types[f"data{index}"] = self.schema()
        made["data_types"] = {name: {"properties": of} for name, of in self.data_types.items()}
        if self.data_types and self.chance(0.3):
            parent, own = self.pick(self.data_types), self.schema()
            made["data_types"]["derived"] = {"derived_from": parent, "properties": own}
            self.data_types["derived"] = {**self.data_types[parent], **own}
        made["inputs"] = self.inputs = self.schema()
        for name, of in self.inputs.items():
            self.constrain(of, version)
        made["plugins"] = {name: {"executor": "central_deployment_agent", "install": False}
                           for name in ("plug", "other")}
        self.types(made)
        self.templates(made, version)
        outputs = {f"o{index}": {"value": self.value_or_function(None, "out")} for index in range(2)}
        made["outputs"] = outputs
        self.workflows(made, version)
        if version != "1_2":
            self.groups(made)
            self.words(made)
        if self.chance(0.2):
            made["description"], made["metadata"] = "A text", {"k": self.pick(SCALARS)}
        given = {name: self.value(of.get("type")) for name, of in self.inputs.items()
                 if "default" not in of or self.chance(0.3)}
        return made, given

    def constrain(self, of, version):
        if version == "1_2" or self.chance(0.6):
            return
        kind, values = of.get("type"), VALUES.get(of.get("type"), [])
        constraint = {
            "integer": self.pick([{"in_range": [-3, 90]}, {"greater_than": -9}, {"valid_values": values}]),
            "string": self.pick([{"max_length": 3}, {"min_length": 0}, {"pattern": "^[a-z0-9 ]*$"}]),
            "float": {"less_or_equal": 2}, "list": {"max_length": 5},
        }.get(kind)
        if constraint:
            of["constraints"] = [constraint]
        if self.chance(0.3):
            of["display_label"], of["hidden"] = "Label", "default" in of
        if kind == "list" and version in ("1_4", "1_5") and self.chance(0.2):
            of["item_type"] = "dict"

    def workflows(self, made, version):
        parameters = self.schema()
        made["workflows"] = {"wf": {"mapping": "plug.do.it", "parameters": parameters},
                             "short": self.pick(["plug.a.b", "other.c"])}
        if self.chance(0.3):
            made["workflows"]["wf"]["is_cascading"] = self.chance(0.5)
        if version in ("1_4", "1_5") and self.chance(0.4):
            active = self.random.sample(["all", "partial", "none"], 2)
            made["workflows"]["wf"]["availability_rules"] = {
                "available": self.chance(0.5), "node_instances_active": active}

    def words(self, made):
        """Labels, tags and settings."""
        label = {"values": [self.pick(["a", "b", "C", "d e"])]}
        for name in ("labels", "blueprint_labels"):
            if self.chance(0.3):
                made[name] = {"env": copy.deepcopy(label), "Two": {"values": ["1", "2"]}}
        if self.chance(0.2):
            made["resource_tags"] = {"tag": self.pick(["v", {"concat": ["a", "b"]}])}
        if self.chance(0.2):
            made["deployment_settings"] = {"id_template": "x-{uuid}", "display_name": "shown"}

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
        count = self.random.randint(1, self.pick([2, 3, 6]))
        types = {f"n{index}": self.pick(self.schemas) for index in range(count)}
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
            targets = ["group"]
            if self.chance(0.3):
                made["groups"]["outer"] = {"members": ["group"]}
                targets = self.pick([["outer"], ["group", "outer"]])
            policy = {"type": "cloudify.policies.scaling", "properties": bounds, "targets": targets}
            made["policies"] = {"scale": policy}


def is_faulty(seed):
    """Whether the blueprint of a seed is given a fault, which may well make several."""
    return seed % 3 == 2


def request(seed, types):
    """One blueprint: sometimes in two files, sometimes with a namespace, sometimes with a fault."""
    maker = Maker(seed)
    made, inputs = maker.blueprint()
    if is_faulty(seed):
        mutate(maker.random, made)
    imports = {TYPES_URL: types}
    made["imports"] = [TYPES_URL]
    if made["tosca_definitions_version"] != "cloudify_dsl_1_2" and (maker.namespace or maker.chance(0.2)):
        # Settings with a namespace are refused.
        kept = ("tosca_definitions_version", "imports", "deployment_settings")
        part = {name: made.pop(name) for name in list(made) if name not in kept}
        imports[PART_URL] = yaml.safe_dump(part, sort_keys=False)
        made["imports"].append(maker.namespace + PART_URL)
        inputs = {maker.namespace + name: value for name, value in inputs.items()}
    return {"dsl": yaml.safe_dump(made, sort_keys=False), "imports": imports, "inputs": inputs}


