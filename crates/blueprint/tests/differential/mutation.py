"""Puts one fault, or something strange, into a blueprint."""

import copy

WORDS = ["type", "default", "required", "description", "properties", "interfaces", "inputs", "zzz",
         "constraints", "implementation", "executor", "max_retries", "derived_from", "members",
         "targets", "values", "relationships", "target", "mapping", "parameters", "instances",
         "capabilities", "source_interfaces", "item_type", "display_label", "hidden", "deploy"]
SECTIONS = ["labels", "blueprint_labels", "capabilities", "outputs", "inputs", "groups", "policies",
            "workflows", "data_types", "deployment_settings", "resource_tags", "plugins",
            "node_types", "node_templates", "relationships", "metadata", "description"]
VALUES = [None, 1, 0, -1, 1.5, True, "", "text", "string", "integer", "boolean", "list", "dict",
          "float", "regex", [], {}, [1], {"a": 1}, "n0", "type0", "data0", "linked", "group",
          "cloudify.nodes.Root", "cloudify.relationships.contained_in", "host_agent", "UNBOUNDED",
          {"get_input": "p0"}, {"get_property": ["SELF", "p0"]}, {"get_attribute": ["n0", "x"]},
          {"get_secret": "k"}, {"concat": ["a", 1]}, {"concat": "a"}, {"get_input": []},
          {"get_property": ["n0"]}, {"get_attribute": "n0"}, {"merge": [1]}, {"get_sys": ["a", "b"]}]


def mutate(random, made):
    """Changes one thing in `made`."""
    spots = []

    def walk(value):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in list(keys):
            spots.append((value, key))
            if isinstance(value[key], (dict, list)):
                walk(value[key])

    for section in made.values():
        if isinstance(section, (dict, list)):
            walk(section)
    how = random.random()
    if how < 0.08 or not spots:
        made[random.choice(SECTIONS)] = copy.deepcopy(random.choice(VALUES))
        return
    holder, key = random.choice(spots)
    value = copy.deepcopy(random.choice(VALUES))
    if how < 0.45:
        holder[key] = value
    elif how < 0.6:
        del holder[key]
    elif how < 0.75 and isinstance(holder, dict):
        holder[random.choice(WORDS)] = value
    elif how < 0.85 and isinstance(holder, dict):
        holder[random.choice(WORDS)] = holder.pop(key)
    else:
        other, other_key = random.choice(spots)
        if other_key in other if isinstance(other, dict) else other_key < len(other):
            holder[key] = copy.deepcopy(other[other_key])
