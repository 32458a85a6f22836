// SPDX-License-Identifier: BSD-3-Clause
// Charts as this page draws them, over Chart.js: series told apart by hatching as well as by colour,
// a legend outside of the canvas, values on hover and by the arrow keys, light, dark and on paper.
//
// charts.add(NAME, make): make(choices) gives the chart in <figure data-chart=NAME>, or null for none:
//   {kind: 'area', x: [number], xText, ...} or {kind: 'bars', labels: [[text]], ...}, both with
//   series: [{label, values, color: '--css-variable', hatch}], valueText, title(index), choices;
//   bars stand on each other, or with `beside` next to each other
const charts = (() => {
  'use strict';
  const makers = new Map();
  const drawn = new Map();  // name: Chart
  const chosen = new Map(); // name: {choice: option}
  const HATCHES = ['none', 'diagonal', 'dots', 'lines', 'cross', 'back'];

  // Figures as the tables have them.
  const count = (value) => Number(value ?? 0).toLocaleString('en');
  function bytes(value) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    while (value >= 1024 && unit + 1 < units.length) { value /= 1024; unit += 1; }
    return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
  }
  // Seconds since the epoch, in text of nine decimals, to the time of day in UTC.
  const clock = (instant) => new Date(Number(instant) * 1000).toISOString().slice(11, 19);
  const span = (seconds) =>
    seconds < 120 ? `${Number(seconds.toFixed(2))} s` : `${Number((seconds / 60).toFixed(1))} min`;

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // A tile of the colour with the page's own colour drawn into it.
  function pattern(color, hatch) {
    if (hatch === 'none') return color;
    const tile = document.createElement('canvas');
    tile.width = tile.height = 8;
    const pen = tile.getContext('2d');
    pen.fillStyle = color;
    pen.fillRect(0, 0, 8, 8);
    pen.strokeStyle = pen.fillStyle = css('--page');
    pen.lineWidth = 1.6;
    const strokes = {
      diagonal: [[-2, 10, 10, -2], [-2, 2, 2, -2], [6, 10, 10, 6]],
      back: [[-2, -2, 10, 10], [-2, 6, 2, 10], [6, -2, 10, 2]],
      lines: [[0, 4, 8, 4]],
      cross: [[0, 4, 8, 4], [4, 0, 4, 8]],
      dots: [],
    }[hatch];
    pen.beginPath();
    for (const [x1, y1, x2, y2] of strokes) { pen.moveTo(x1, y1); pen.lineTo(x2, y2); }
    pen.stroke();
    if (hatch === 'dots') {
      for (const [x, y] of [[2, 2], [6, 6]]) { pen.beginPath(); pen.arc(x, y, 1.2, 0, 7); pen.fill(); }
    }
    return pen.createPattern(tile, 'repeat');
  }

  function legend(figure, series) {
    const list = figure.querySelector('.legend');
    list.replaceChildren(...series.map((each) => {
      const item = document.createElement('li');
      const swatch = document.createElement('canvas');
      swatch.width = 24;
      swatch.height = 14;
      swatch.setAttribute('aria-hidden', 'true');
      const pen = swatch.getContext('2d');
      pen.fillStyle = pattern(css(each.color), each.hatch);
      pen.fillRect(0, 0, 24, 14);
      item.append(swatch, each.label);
      return item;
    }));
  }

  // Radio buttons over the chart, one fieldset a choice.
  function offer(figure, name, choices) {
    const box = figure.querySelector('.choices');
    if (box.childElementCount > 0) return;
    for (const {label, options} of choices ?? []) {
      const set = document.createElement('fieldset');
      const title = document.createElement('legend');
      title.textContent = label;
      set.append(title, ...options.map((option, i) => {
        const button = document.createElement('input');
        Object.assign(button, {type: 'radio', name: `${name}-${label}`, checked: i === 0});
        button.addEventListener('change', () => {
          chosen.set(name, {...chosen.get(name), [label]: option});
          draw(name);
        });
        const words = document.createElement('label');
        words.append(button, option);
        return words;
      }));
      box.append(set);
    }
  }

  // Numbers in the bars that are wide enough for them; those of the last ones else stand behind.
  const numbers = ({valueText, beside}) => ({
    id: 'numbers',
    afterDatasetsDraw(chart) {
      const pen = chart.ctx;
      const write = (text, middle, y, room) => {
        pen.fillStyle = css('--page');
        pen.fillRect(middle - room / 2, y - 8, room, 16);
        pen.fillStyle = css('--text');
        pen.fillText(text, middle, y + 0.5);
      };
      pen.save();
      pen.font = `600 11px ${Chart.defaults.font.family}`;
      pen.textAlign = 'center';
      pen.textBaseline = 'middle';
      const ends = new Map();  // of a bar: where it ends, and what has no number yet
      chart.data.datasets.forEach((dataset, d) => {
        chart.getDatasetMeta(d).data.forEach((bar, i) => {
          const value = dataset.data[i];
          if (!value) return;
          const room = pen.measureText(valueText(value)).width + 8;
          const key = beside ? `${d} ${i}` : i;
          const end = ends.get(key) ?? {y: bar.y, values: []};
          ends.set(key, end);
          end.x = bar.x;
          if (Math.abs(bar.x - bar.base) >= room + 2) {
            write(valueText(value), (bar.x + bar.base) / 2, bar.y, room);
            end.values = [];
          } else {
            end.values.push(valueText(value));
          }
        });
      });
      for (const {x, y, values} of ends.values()) {
        const text = values.join(' + ');
        const room = pen.measureText(text).width + 8;
        if (text) write(text, x + room / 2 + 2, y, room);
      }
      pen.restore();
    },
  });

  function tooltip(spec) {
    const total = (items) => items.reduce((sum, item) => sum + (item.raw?.y ?? item.raw ?? 0), 0);
    return {
      backgroundColor: css('--text'), titleColor: css('--page'), bodyColor: css('--page'),
      footerColor: css('--page'), padding: 10, boxPadding: 4,
      callbacks: {
        title: (items) => items.length ? spec.title(items[0].dataIndex) : '',
        label: (item) => `${item.dataset.label}: ${spec.valueText(item.raw?.y ?? item.raw)}`,
        labelColor: (item) => ({borderColor: css('--page'), backgroundColor: item.dataset.flat}),
        footer: (items) => items.length > 1 && !spec.beside ? `together: ${spec.valueText(total(items))}` : '',
      },
    };
  }

  function area(spec) {
    return {
      type: 'line',
      data: {datasets: spec.series.map((each, i) => ({
        label: each.label, flat: css(each.color),
        data: spec.x.map((x, at) => ({x, y: each.values[at]})),
        backgroundColor: pattern(css(each.color), each.hatch), borderColor: css(each.color),
        borderWidth: 1.5, pointRadius: 0, pointHoverRadius: 4, stepped: true,
        fill: i === 0 ? 'origin' : '-1',
      }))},
      options: {
        parsing: false, normalized: true,
        scales: {
          x: {type: 'linear', min: spec.x[0], max: spec.x[spec.x.length - 1], grid: {display: false},
            ticks: {maxTicksLimit: 7, maxRotation: 0, callback: spec.xText}},
          y: {stacked: true, beginAtZero: true, grid: {color: css('--line')},
            afterBuildTicks: spec.yTicks, ticks: {maxTicksLimit: 6, callback: spec.valueText}},
        },
      },
    };
  }

  function bars(spec, narrow) {
    return {
      type: 'bar',
      data: {
        labels: spec.labels.map((parts) => narrow ? parts : parts.join('  ')),
        datasets: spec.series.map((each) => ({
          label: each.label, data: each.values, flat: css(each.color),
          backgroundColor: pattern(css(each.color), each.hatch), borderColor: css(each.color),
          borderWidth: 1, borderSkipped: false, maxBarThickness: 24,
        })),
      },
      options: {
        indexAxis: 'y',
        layout: {padding: {right: 44}}, // for a number behind the longest bar
        scales: {
          x: {stacked: !spec.beside, beginAtZero: true, max: spec.most, grid: {color: css('--line')},
            ticks: {maxTicksLimit: 6, precision: spec.most === 1 ? undefined : 0, maxRotation: 0, callback: spec.valueText}},
          y: {stacked: !spec.beside, grid: {display: false}, ticks: {autoSkip: false, color: css('--text')}},
        },
      },
      plugins: [numbers(spec)],
    };
  }

  // The arrow keys walk along the chart, and what is shown there is read out.
  function keyboard(canvas, name) {
    if (canvas.tabIndex === 0) return;
    canvas.tabIndex = 0;
    const read = document.createElement('output');
    read.className = 'aside';
    canvas.parentElement.append(read);
    let at = -1;
    canvas.addEventListener('keydown', (event) => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
      const chart = drawn.get(name);
      if (!step || !chart) return;
      event.preventDefault();
      const count = chart.data.datasets[0].data.length;
      at = Math.min(Math.max(at + step, 0), count - 1);
      const active = chart.data.datasets.map((_, datasetIndex) => ({datasetIndex, index: at}));
      chart.setActiveElements(active);
      chart.tooltip.setActiveElements(active, {x: 0, y: 0});
      chart.update();
      const {title, body, footer} = chart.tooltip;
      read.textContent = [...title, ...body.flatMap((part) => part.lines), ...footer].join(', ');
    });
  }

  function draw(name) {
    const figure = document.querySelector(`figure[data-chart="${name}"]`);
    if (!figure) return;
    drawn.get(name)?.destroy();
    drawn.delete(name);
    const spec = makers.get(name)(chosen.get(name) ?? {});
    figure.hidden = !spec;
    if (!spec) return;
    const narrow = figure.clientWidth < 560;
    const height = spec.kind === 'area' ? (narrow ? 240 : 320) :
      spec.labels.length * (narrow || spec.beside ? 44 : 32) + 44;
    const frame = figure.querySelector('.canvas');
    frame.style.height = `${height}px`;
    const canvas = frame.querySelector('canvas');
    const config = spec.kind === 'area' ? area(spec) : bars(spec, narrow);
    Object.assign(config.options, {
      maintainAspectRatio: false, animation: false,
      interaction: {mode: 'index', intersect: false, axis: spec.kind === 'area' ? 'x' : 'y'},
      plugins: {legend: {display: false}, tooltip: tooltip(spec)},
    });
    offer(figure, name, spec.choices);
    legend(figure, spec.series);
    drawn.set(name, new Chart(canvas, config));
    keyboard(canvas, name);
  }

  function drawAll() {
    Chart.defaults.color = css('--quiet');
    Chart.defaults.borderColor = css('--line');
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    for (const name of makers.keys()) draw(name);
    const places = document.querySelectorAll('figure[data-chart]:not([hidden])').length;
    document.documentElement.dataset.charts = `${drawn.size} of ${places}`;
  }

  function start() {
    document.documentElement.classList.add('scripted');
    drawAll();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
    // On paper, the colours of the light page whatever the screen has.
    addEventListener('beforeprint', () => {
      document.documentElement.classList.add('paper');
      drawAll();
    });
    addEventListener('afterprint', () => {
      document.documentElement.classList.remove('paper');
      drawAll();
    });
  }

  return {add: (name, make) => makers.set(name, make), start, HATCHES, count, bytes, clock, span};
})();
