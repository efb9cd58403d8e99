"""The stock parser's side of the benchmark `parse`.

    python parse.py DIFFERENTIAL TYPES

DIFFERENTIAL is the folder of plugin.py. Prints the blueprints as one JSON object a line, an empty
line, and then, for each line `NAME` on the standard input, the seconds that the stock parser needs to
parse it, and those to plan it as well.
"""

import gc
import json
import os
import sys
import time

sys.path.insert(0, sys.argv[1])

import plugin  # noqa: E402
from oracle import Texts  # noqa: E402

from dsl_parser import parser, tasks  # noqa: E402

SIZES = [(60, 1), (600, 1), (6000, 1), (600, 5), (6000, 5)]


def main():
    with open(sys.argv[2]) as file:
        types = file.read().replace("tosca_definitions_version:", "# version:")
    given = os.environ.get("WAGGONER_AWS_PLUGIN_YAML")
    text = open(given.split(":")[0]).read() if given else plugin.plugin_yaml("1_5")
    imports = {"http://test/types.yaml": types, "http://test/plugin.yaml": text}
    made = {f"{nodes}x{instances}": plugin.blueprint("1_5", nodes, imports, instances)
            for nodes, instances in SIZES}
    for name, dsl in made.items():
        print(json.dumps({"name": name, "dsl": dsl, "imports": imports}))
    print(flush=True)
    for line in sys.stdin:
        gc.collect()
        started = time.perf_counter()
        plan = parser.parse(made[line.strip()], resolver=Texts(imports))
        parsed = time.perf_counter()
        tasks.prepare_deployment_plan(plan, inputs={})
        planned = time.perf_counter()
        print(json.dumps({"parse": parsed - started, "plan": planned - started}), flush=True)


if __name__ == "__main__":
    main()
