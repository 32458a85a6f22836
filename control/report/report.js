// SPDX-License-Identifier: BSD-3-Clause
// The report's charts, from the JSON that the page carries, and the filter over the flows that fell.
// What was not measured is null there or missing, and is not drawn.
(() => {
  'use strict';
  const report = JSON.parse(document.getElementById('report').textContent);
  const transparency = report.transparency ?? {};
  const rows = (table) => Array.isArray(table) ? table : [];
  const {count, bytes, clock, span} = charts;
  const COLORS = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6'];

  const kindOf = (row) => row.kind ? `${row.function}.${row.kind}` : row.function;
  const bandOf = (row) => row.scope === 'configured' ? 'configured' : row.class;
  const BANDS = {
    hard: {label: 'hard', color: '--hard', hatch: 'diagonal'},
    soft: {label: 'soft', color: '--soft', hatch: 'none'},
    configured: {label: 'configured', color: '--configured', hatch: 'dots'},
  };

  // A kind without a sample at a moment keeps its last value.
  function stateOverTime(measure) {
    const times = [];
    const present = new Map();
    const moments = [];
    for (const sample of rows(report.state_timeline)) {
      if (times[times.length - 1] !== sample.t) { times.push(sample.t); moments.push(null); }
      present.set(kindOf(sample), sample[measure]);
      moments[moments.length - 1] = new Map(present);
    }
    return {times, moments};
  }

  function stateSeries(by, moments) {
    const groups = new Map();
    for (const row of rows(report.state)) {
      const kind = kindOf(row);
      const band = bandOf(row);
      const key = by === 'by kind' ? kind : band;
      if (!groups.has(key)) groups.set(key, {band, kinds: []});
      groups.get(key).kinds.push(kind);
    }
    const keys = by === 'by kind' ? [...groups.keys()] : ['hard', 'soft', 'configured'];
    const series = keys.filter((key) => groups.has(key)).map((key) => ({
      label: key, ...groups.get(key),
      values: moments.map((held) => groups.get(key).kinds.reduce((sum, kind) => sum + (held.get(kind) ?? 0), 0)),
    })).filter((each) => each.values.some((value) => value > 0));
    return series.map((each, i) => by === 'by kind' ?
      {...each, label: `${each.label} (${each.band})`, color: COLORS[i % COLORS.length],
        hatch: charts.HATCHES[(i + Math.floor(i / COLORS.length)) % charts.HATCHES.length]} :
      {...each, ...BANDS[each.label]});
  }

  // Lines of the grid at powers of two, so that KiB and MiB come out round.
  function byteTicks(axis) {
    let step = 1;
    while (step * 5 < axis.max) step *= 2;
    axis.ticks = [];
    for (let value = 0; value <= axis.max; value += step) axis.ticks.push({value});
  }

  charts.add('state', (chosen) => {
    const measure = chosen.measure ?? 'bytes';
    const {times, moments} = stateOverTime(measure);
    if (times.length < 2) return null;
    const x = times.map((time) => Number(time) - Number(times[0]));
    return {
      kind: 'area', x, xText: span, series: stateSeries(chosen.stack ?? 'by class', moments),
      valueText: measure === 'bytes' ? bytes : count, yTicks: measure === 'bytes' ? byteTicks : undefined,
      title: (i) => `${clock(times[i])} UTC, ${span(x[i])} into the run`,
      choices: [{label: 'measure', options: ['bytes', 'entries']},
        {label: 'stack', options: ['by class', 'by kind']}],
    };
  });

  const STEPS = [['T0', 'P0', 'wire_exact'], ['T1', 'P1', 'endpoint_exact'],
    ['T2', 'P2', 'stream_exact'], ['T3', 'P3', 'completes']];

  // Who pushed flows off a step; with falls left out of the list nobody can say.
  function pushers(predicate) {
    const by = new Map();
    if (transparency.falls_omitted) return by;
    for (const fall of rows(transparency.falls)) {
      if (fall.step !== predicate) continue;
      const name = fall.function ?? 'nobody in particular';
      by.set(name, (by.get(name) ?? 0) + 1);
    }
    return by;
  }

  charts.add('staircase', () => {
    const whole = transparency.flows ?? 0;
    const measured = STEPS.map(([tier, predicate, key]) => {
      const step = transparency.staircase?.[key];
      const alone = transparency.predicates?.[predicate];
      const flows = step?.flows ?? alone?.flows;
      return {name: step || !alone ? tier : predicate, words: key.replace('_', '-'), flows, bound: step?.lower_bound,
        by: pushers(predicate)};
    });
    if (!whole || measured.every(({flows}) => flows == null)) return null;
    const names = [...new Set(measured.flatMap(({by}) => [...by.keys()]))];
    const fallen = ({by}) => [...by.values()].reduce((sum, each) => sum + each, 0);
    const rest = measured.map((step) =>
      step.flows == null ? 0 : Math.max(0, whole - step.flows - fallen(step)));
    const series = [{label: 'hold', color: '--good', hatch: 'none', values: measured.map(({flows}) => flows ?? 0)}];
    names.forEach((name, i) => series.push({label: `pushed off by ${name}`, color: COLORS[(i + 1) % COLORS.length],
      hatch: charts.HATCHES[i % 5 + 1],
      values: measured.map((step) => step.flows == null ? 0 : step.by.get(name) ?? 0)}));
    if (rest.some((value) => value > 0)) {
      series.push({label: 'pushed off', color: '--configured', hatch: 'lines', values: rest});
    }
    return {
      kind: 'bars', series, most: whole, valueText: count,
      labels: measured.map(({name, words, flows, bound}) =>
        flows == null ? [`${name} ${words}`, '(not measured)'] : bound ? [`${name} ${words}`, '(at least)'] : [`${name} ${words}`]),
      title: (i) => `${measured[i].name} ${measured[i].words}, of ${count(whole)}`,
    };
  });

  charts.add('forgetting', (chosen) => {
    const all = rows(report.forgetting).filter((row) => row.compared > 0);
    const moments = [...new Set(all.map((row) => row.at))];
    const tried = all.filter((row) => (chosen.moment ?? 'all') === 'all' || clock(row.at) === chosen.moment);
    if (tried.length === 0) return null;
    const name = (row) => !row.function || row.function === 'box' ? 'the whole box' :
      !row.kind || row.kind === 'all' ? `all of ${row.function}` : kindOf(row);
    const values = (key) => tried.map((row) => row[key] ?? 0);
    return {
      kind: 'bars', valueText: count,
      labels: tried.map((row) => [name(row), `${clock(row.at)} ${row.verdict}`]),
      title: (i) => `${name(tried[i])}, forgotten at ${clock(tried[i].at)}: ${tried[i].verdict}`,
      choices: moments.length < 2 || moments.length > 8 ? [] :
        [{label: 'moment', options: ['all', ...new Set(moments.map(clock))]}],
      series: [
        {label: 'unaffected', color: '--good', hatch: 'none', values: values('unaffected')},
        {label: 'recovered', color: '--middle', hatch: 'dots', values: values('recovered')},
        {label: 'broken', color: '--bad', hatch: 'diagonal', values: values('broken')},
      ],
    };
  });

  // The sums of a table's packets: one bar for each name, one series for each way.
  function sums(table, nameOf, wayOf, ways) {
    const names = new Map();
    for (const row of rows(table)) {
      const name = nameOf(row);
      const key = name.join('\n');
      if (!names.has(key)) names.set(key, {name, ways: new Map()});
      const {ways: held} = names.get(key);
      held.set(wayOf(row), (held.get(wayOf(row)) ?? 0) + row.packets);
    }
    const bars = [...names.values()];
    if (bars.length === 0) return null;
    return {
      kind: 'bars', valueText: count, labels: bars.map(({name}) => name),
      title: (i) => bars[i].name.join(' '),
      series: ways.map(({way, ...look}) => ({...look, values: bars.map(({ways: held}) => held.get(way) ?? 0)}))
        .filter(({values}) => values.some((value) => value > 0)),
    };
  }

  charts.add('effects', () => sums(transparency.effects,
    (row) => [row.function, `${row.field} (${row.class})`], (row) => row.direction, [
      {way: 'inside', label: 'packets from the inside', color: '--c1', hatch: 'none'},
      {way: 'outside', label: 'packets from the outside', color: '--c3', hatch: 'diagonal'},
    ]));

  charts.add('drops', () => sums(report.drops,
    (row) => [row.function, row.reason], (row) => row.intended ?? null, [
      {way: true, label: 'intended by policy', color: '--configured', hatch: 'none'},
      {way: false, label: 'unintended', color: '--bad', hatch: 'diagonal'},
      {way: null, label: 'intent not known', color: '--c5', hatch: 'dots'},
    ]));

  charts.add('openness', () => sums(
    rows(report.openness).map((row) => ({...row, packets: 1})), (row) => [row.group], (row) => row.outcome, [
      {way: 'works', label: '✓ works', color: '--good', hatch: 'none'},
      {way: 'works_changed', label: '≈ works changed', color: '--middle', hatch: 'dots'},
      {way: 'broken', label: '✗ broken', color: '--bad', hatch: 'diagonal'},
    ]));

  function filterFalls() {
    const table = document.getElementById('falls-table');
    const box = document.getElementById('falls-filter');
    if (!table || !box) return;
    const lines = [...table.tBodies[0].rows];
    const texts = lines.map((line) => line.textContent.toLowerCase());
    const input = box.querySelector('input');
    const shown = box.querySelector('output');
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let matches = 0;
      lines.forEach((line, i) => {
        line.hidden = !words.every((word) => texts[i].includes(word));
        if (!line.hidden) matches += 1;
      });
      shown.textContent = `${count(matches)} of ${count(lines.length)} rows`;
    };
    input.addEventListener('input', apply);
    box.hidden = false;
    apply();
  }

  filterFalls();
  charts.start();
})();
