"""Runs one operation."""

import sys

from waggoner_runtime import events, install


def main():
    install.install()
    from cloudify import dispatch

    try:
        dispatch.main()
    finally:
        events.flush()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit('usage: python -m waggoner_runtime <dispatch_dir>')
    main()
