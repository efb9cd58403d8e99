"""Runs one operation."""

import json
import os
import sys

from waggoner_runtime import events, install


def main():
    install.install()
    run()


def run():
    """Runs the operation of `sys.argv`, in a process that is installed."""
    from cloudify import dispatch

    try:
        dispatch.main()
    except (TypeError, ValueError, RecursionError) as error:
        # The stock code has caught what the operation raised: this is its result, not written.
        refuse_result(error)
    finally:
        events.flush()


def refuse_result(error):
    """Writes an error in the place of a result that is not JSON."""
    from cloudify.error_handling import serialize_known_exception
    from cloudify.exceptions import NonRecoverableError

    refusal = NonRecoverableError(
        'Unhandled exception occurred in operation dispatch (rc=1): '
        'the operation returned what is not JSON: {0}'.format(error))
    output = {'type': 'error', 'payload': serialize_known_exception(refusal)}
    with open(os.path.join(sys.argv[1], 'output.json'), 'w') as f:
        json.dump(output, f)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit('usage: python -m waggoner_runtime <dispatch_dir>')
    main()
