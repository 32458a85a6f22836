// SPDX-License-Identifier: BSD-3-Clause
// The charts of a comparison: one for each table with figures, A and B side by side.
(() => {
  'use strict';
  const comparison = JSON.parse(document.getElementById('report').textContent);
  const units = {
    share: (value) => `${(100 * value).toFixed(1)} %`,
    count: charts.count,
    bytes: charts.bytes,
  };
  for (const {id, rows} of comparison.tables) {
    charts.add(`compare-${id}`, () => {
      // One scale, one unit: that of the first row with figures.
      const unit = rows.find((row) => units[row.unit] && (row.a ?? row.b) !== null)?.unit;
      const drawn = rows.filter((row) => row.unit === unit && (row.a ?? row.b) !== null);
      if (drawn.length === 0) return null;
      return {
        kind: 'bars', beside: true, valueText: units[unit], most: unit === 'share' ? 1 : undefined,
        labels: drawn.map(({name}) => [name]), title: (i) => drawn[i].name,
        series: [
          {label: `A: ${comparison.a.chain}`, color: '--c1', hatch: 'none', values: drawn.map(({a}) => a)},
          {label: `B: ${comparison.b.chain}`, color: '--c2', hatch: 'diagonal', values: drawn.map(({b}) => b)},
        ],
      };
    });
  }
  charts.start();
})();
