#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds report.json files to the schema, and to the sums that a schema cannot state.

usage: report_schema.py SCHEMA REPORT...

Prints one line for each thing that is wrong; exit status 0: nothing is, 1: something is, 2: usage,
77: the jsonschema package (python3-jsonschema) is not installed.
"""
import json
import sys

try:
    import jsonschema
except ImportError:
    print('SKIP: python3-jsonschema is not installed')
    sys.exit(77)


def refuse_constant(name):
    raise ValueError('%s is no JSON number' % name)


def refuse_doubles(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError('a name occurs twice in one object: %s' % sorted(keys))
    return dict(pairs)


def balance_wrong(name, balance):
    """Sums of one balance over both sides."""
    arrived = balance['forwarded'] + balance['dropped'] + balance['held'] + balance['merged']
    left = balance['forwarded'] + balance['injected'] + balance['split']
    if balance['received'] != arrived:
        yield '%s: received %d, accounted for %d' % (name, balance['received'], arrived)
    if balance['transmitted'] + balance['unsent'] != left:
        yield '%s: sent %d, to be sent %d' % (name, balance['transmitted'] + balance['unsent'], left)


def sums_wrong(report):
    conservation = report['conservation']
    wrong = list(balance_wrong('conservation', conservation))
    if conservation['balanced'] and wrong:
        yield 'conservation.balanced is true, but:'
    if not conservation['balanced']:
        yield 'conservation.balanced is false'
    yield from wrong
    sides = conservation['by_side'].values()
    for name in conservation['by_side']['inside']:
        if sum(side[name] for side in sides) != conservation[name]:
            yield 'conservation.%s is not the sum of its sides' % name
    dropped = sum(row['packets'] for row in report['drops'])
    if dropped != conservation['dropped']:
        yield 'drops: %d packets, conservation.dropped %d' % (dropped, conservation['dropped'])
    for row in report['state'] or []:
        entries = (row['created'] - row['closed'] - row['expired'] - row['evicted']
                   - row['forgotten'])
        kind = '%s.%s' % (row['function'], row['kind'])
        if row['entries'] != entries:
            yield 'state %s: %d entries, but %d by its census' % (kind, row['entries'], entries)
        if row['entries'] > row['peak_entries'] or row['bytes'] > row['peak_bytes']:
            yield 'state %s: more at the end than at its peak' % kind
        if row['bound'] is not None and row['peak_entries'] > row['bound']:
            yield 'state %s: peak %d beyond its bound' % (kind, row['peak_entries'])
        if row['class'] == 'hard' and row['evicted']:
            yield 'state %s: hard, and evicted %d' % (kind, row['evicted'])
    known = set(report['chain']) | {'dataplane'}
    for table in ('drops', 'state', 'state_timeline', 'findings'):
        for row in report[table] or []:
            if row['function'] not in known:
                yield '%s: %s is not in the chain' % (table, row['function'])
    yield from staircase_wrong(report['transparency'])


def staircase_wrong(transparency):
    """Each step has fewer flows than the one after it, and no more than hold its predicate."""
    below = 0
    for name, step in zip(('P0', 'P1', 'P2', 'P3'), transparency['staircase'].values()):
        predicate = transparency['predicates'][name]
        if (predicate is None) != (step is None):
            yield '%s and its step are not measured together' % name
            continue
        if predicate is None:
            continue
        if predicate['flows'] > predicate['of']:
            yield '%s: more flows than there are' % name
        if step['flows'] > predicate['flows']:
            yield '%s: more flows reach the step than hold it' % name
        if step['flows'] < below:
            yield '%s: fewer flows reach the step than the one before it' % name
        below = step['flows']


def wrong_with(validator, path):
    try:
        with open(path, encoding='utf-8') as file:
            report = json.load(file, parse_constant=refuse_constant,
                               object_pairs_hook=refuse_doubles)
    except (OSError, ValueError) as error:
        return ['%s' % error]
    errors = ['/%s: %s' % ('/'.join(str(part) for part in error.absolute_path), error.message)
              for error in validator.iter_errors(report)]
    # Sums are of no use while names or types are wrong.
    return errors or list(sums_wrong(report))


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding='utf-8') as file:
        schema = json.load(file)
    validator_class = jsonschema.validators.validator_for(schema)
    validator_class.check_schema(schema)
    failed = False
    for path in sys.argv[2:]:
        for line in wrong_with(validator_class(schema), path):
            print('%s: %s' % (path, line))
            failed = True
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
