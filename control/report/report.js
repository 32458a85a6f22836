// SPDX-License-Identifier: BSD-3-Clause
// The filter over the flows that fell. Everything else on the page does without a script.
(() => {
  const table = document.getElementById('falls');
  const box = document.getElementById('falls-filter');
  if (!table || !box) return;
  const rows = [...table.tBodies[0].rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const input = box.querySelector('input');
  const shown = box.querySelector('output');
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => texts[i].includes(word));
      if (!row.hidden) count += 1;
    });
    shown.textContent = `${count} of ${rows.length} rows`;
  };
  input.addEventListener('input', apply);
  box.hidden = false;
  apply();
})();
