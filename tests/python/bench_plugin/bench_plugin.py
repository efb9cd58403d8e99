"""Operations to be measured."""

import time


def noop(**_):
    pass


def usual(ctx, **_):
    """Two log lines, two reads, one update."""
    ctx.logger.info('begins')
    seen = ctx.node.properties, ctx.instance.runtime_properties
    assert None not in seen
    ctx.instance.runtime_properties['touched'] = time.time()
    ctx.logger.info('ends')


def stay(**_):
    time.sleep(8)
