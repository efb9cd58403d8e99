"""Nodes, node instances and relationships: what is read, and what becomes of what is written."""

import json

from cloudify.conflict_handlers import simple_merge_handler

from stock_plugin.cases import DEPLOYMENT, HOST, SOURCE, TARGET, case, fails


@case()
def node(ctx, **_):
    return [ctx.node.id, ctx.node.name, ctx.node.type, ctx.node.type_hierarchy,
            ctx.node.number_of_instances, ctx.node.properties]


@case()
def node_properties_cannot_be_set(ctx, **_):
    ctx.node.properties['nested']['list'].append(2)
    return [ctx.node.properties['nested'], fails(ctx.node.properties.update, a=1),
            fails(ctx.node.properties.__setitem__, 'a', 1), fails(ctx.node.properties.pop, 'port')]


@case()
def missing_property(ctx, **_):
    return [ctx.node.properties.get('none'), fails(lambda: ctx.node.properties['none']),
            fails(lambda: ctx.instance.runtime_properties['none'])]


@case()
def instance(ctx, **_):
    return [ctx.instance.id, ctx.instance.index, ctx.instance.scaling_groups, ctx.instance.drift,
            ctx.instance.runtime_properties]


@case()
def instance_without_drift(ctx, **_):
    return fails(lambda: ctx.instance.relationships[0].target.instance.drift)


@case()
def relationships(ctx, **_):
    return [[each.type, each.type_hierarchy, each.target.node.id, each.target.instance.id,
             dict(each.target.node.properties), each.target.instance.runtime_properties,
             each.target.node.type_hierarchy]
            for each in ctx.instance.relationships]


@case()
def a_relationships_target_cannot_be_written(ctx, **_):
    target = ctx.instance.relationships[0].target.instance
    return [fails(target.runtime_properties.__setitem__, 'a', 1), dict(target.runtime_properties)]


@case('host_ip_of_the_contained', {})
@case('host_ip_of_the_host', HOST)
@case('host_ip_in_runtime_properties', {'node_id': 'db_1', 'node_name': 'db'})
@case('host_ip_of_none', {'node_id': 'free_1', 'node_name': 'db'})
@case('host_ip_that_is_missing', {'node_id': 'lost_1', 'node_name': 'lost'})
def host_ip(ctx, **_):
    return ctx.instance.host_ip


@case()
def capabilities(ctx, **_):
    return [ctx.capabilities['url'], 'url' in ctx.capabilities, 'none' in ctx.capabilities,
            fails(lambda: ctx.capabilities['none']), ctx.capabilities.get_all()]


@case('set_property', how='set')
@case('set_the_same', how='same')
@case('set_nested_alone', how='nested')
@case('set_nested_and_top', how='nested and top')
@case('delete_property', how='delete')
@case('delete_missing', how='delete missing')
@case('pop_property', how='pop')
@case('pop_missing', how='pop missing')
@case('popitem', how='popitem')
@case('clear', how='clear')
@case('setdefault', how='setdefault')
@case('merge_operator', how='|=')
@case('update_method', how='update')
@case('replace_all', how='replace')
@case('read_only', how='read')
@case('unicode_properties', how='unicode')
@case('odd_keys', how='odd keys')
@case('odd_values', how='odd values')
@case('large_property', how='large')
@case('big_numbers', how='numbers')
def write(ctx, how, **_):
    properties = ctx.instance.runtime_properties
    if how == 'set':
        properties['new'] = {'a': [1, None, 1.5, True]}
    elif how == 'same':
        properties['ip'] = properties['ip']
    elif how.startswith('nested'):
        properties['nested']['a'].append(3)
        if how == 'nested and top':
            properties['top'] = 1
    elif how.startswith('delete'):
        del properties['ip' if how == 'delete' else 'missing']
    elif how.startswith('pop '):
        return properties.pop('missing', 'default')
    elif how == 'pop':
        return properties.pop('ip')
    elif how == 'popitem':
        return properties.popitem()
    elif how == 'clear':
        properties.clear()
    elif how == 'setdefault':
        return properties.setdefault('new', 1)
    elif how == '|=':
        properties |= {'new': 1}
    elif how == 'update':
        properties.update({'new': 1}, other=2)
    elif how == 'replace':
        ctx.instance.runtime_properties = {'all': 'new'}
    elif how == 'unicode':
        properties['wörld €'] = '\U0001f600 \u2028 \x00 "\\'
    elif how == 'odd keys':
        properties.update({1: 'one', None: 'none', True: 'true', '': 'empty'})
    elif how == 'odd values':
        properties['tuple'] = (1, (2,))
        properties['infinite'] = 1e308
    elif how == 'large':
        properties['large'] = 'x' * 1000000
    elif how == 'numbers':
        properties['big'] = 2 ** 63
        properties['small'] = -2 ** 63
        properties['exact'] = 0.1 + 0.2
        properties['whole'] = 1.0
        properties['tiny'] = 5e-324
    return json.dumps(properties, sort_keys=how != 'odd keys')[:1000]


@case()
def updates_are_there_at_once(ctx, **_):
    ctx.instance.runtime_properties['a'] = 1
    ctx.instance.update()
    seen = dict(ctx.instance.runtime_properties)
    ctx.instance.runtime_properties['b'] = 2
    ctx.instance.update()
    ctx.instance.update()
    ctx.instance.runtime_properties['c'] = 3
    return seen


@case()
def what_was_held_before_an_update_is_forgotten(ctx, **_):
    held = ctx.instance.runtime_properties
    held['a'] = 1
    ctx.instance.update()
    held['b'] = 2
    return dict(ctx.instance.runtime_properties)


@case()
def refresh(ctx, **_):
    from cloudify.manager import get_rest_client
    before = ctx.instance.runtime_properties.get('a')
    get_rest_client().node_instances.update(
        'web_1', runtime_properties={'a': 'other'}, version=3)
    same = ctx.instance.runtime_properties.get('a')
    ctx.instance.refresh()
    return [before, same, ctx.instance.runtime_properties]


@case()
def refresh_of_what_has_changed(ctx, **_):
    ctx.instance.runtime_properties['a'] = 1
    refused = fails(ctx.instance.refresh)
    ctx.instance.refresh(force=True)
    return [refused, ctx.instance.runtime_properties]


@case('conflict', conflicts=1, handled=False)
@case('conflict_merged', conflicts=1, handled=True)
@case('conflicts_merged', conflicts=3, handled=True)
def conflict(ctx, handled, **_):
    ctx.instance.runtime_properties['mine'] = 1
    ctx.instance.update(on_conflict=simple_merge_handler if handled else None)
    return dict(ctx.instance.runtime_properties)


@case('merge_that_cannot_be', conflicts=1)
def merge_of_the_same_key(ctx, **_):
    ctx.instance.runtime_properties['theirs'] = 'mine'
    ctx.instance.update(on_conflict=simple_merge_handler)


@case(conflicts=2)
def handler_of_its_own(ctx, **_):
    seen = []

    def handle(mine, latest):
        seen.append([dict(mine), dict(latest)])
        return dict(latest, **mine)

    ctx.instance.runtime_properties['mine'] = 1
    ctx.instance.update(on_conflict=handle)
    return seen


@case('conflict_at_the_end', conflicts=1)
@case('conflict_at_a_failed_end', conflicts=1, fail=True)
@case('conflict_at_a_retried_end', conflicts=1, retry=True)
def conflict_at_the_end(ctx, fail=False, retry=False, **_):
    ctx.instance.runtime_properties['mine'] = 1
    if retry:
        ctx.operation.retry('again', 5)
    if fail:
        raise ValueError('its own')
    return 'well'


@case('source_and_target', SOURCE)
@case('source_and_target_of_the_target', TARGET)
def relationship(ctx, **_):
    ctx.source.instance.runtime_properties['to'] = ctx.target.instance.id
    ctx.target.instance.runtime_properties['from'] = ctx.source.node.properties['port']
    return [ctx.type, ctx.source.node.id, ctx.target.node.properties, ctx.source.instance.host_ip,
            ctx.target.instance.host_ip, ctx.operation.relationship]


@case('conflict_of_the_source', SOURCE, conflicts=1)
def writes_both(ctx, **_):
    ctx.source.instance.runtime_properties['a'] = 1
    ctx.target.instance.runtime_properties['b'] = 1


@case('capabilities_of_a_source', SOURCE)
@case('capabilities_of_a_target', TARGET)
def capabilities_of_a_relationship(ctx, **_):
    return ctx.capabilities.get_all()


@case('wrong_place_in_a_node', {})
@case('wrong_place_in_a_relationship', SOURCE)
@case('wrong_place_in_a_deployment', DEPLOYMENT)
def wrong_place(ctx, **_):
    return [ctx.type] + [fails(lambda: repr(getattr(ctx, name)) and name)
                         for name in ('node', 'instance', 'source', 'target', 'agent', 'capabilities')]


@case('missing_instance', {'node_id': 'nobody_1'})
def missing_instance(ctx, **_):
    return ctx.instance.runtime_properties


@case('missing_node', {'node_name': 'nobody'})
def missing_node(ctx, **_):
    return fails(lambda: ctx.node.properties)


@case()
def not_json(ctx, **_):
    ctx.instance.runtime_properties['bytes'] = b'x'


@case()
def not_json_but_repaired(ctx, **_):
    ctx.instance.runtime_properties['set'] = {1}
    refused = fails(ctx.instance.update)
    ctx.instance.runtime_properties['set'] = [1]
    return refused
