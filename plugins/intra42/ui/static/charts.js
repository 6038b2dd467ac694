// The charts: bars, stacked, in the page's colours, each with its numbers as a table.

import { el, table } from "./dom.js";
import { count } from "./format.js";
import { colour } from "./theme.js";

const FONT = { family: getComputedStyle(document.body).fontFamily, size: 11 };
const drawn = new Map();

/** Return where an axis ends that a few giants would flatten, or null. */
export function cap(totals) {
  const sorted = totals.filter((n) => n > 0).sort((a, b) => b - a);
  if (sorted.length < 2) return null;
  const usual = sorted[Math.max(1, Math.floor(sorted.length / 4))];
  if (sorted[0] <= 8 * usual) return null;
  return round(1.5 * sorted.find((n) => n <= 4 * usual));
}

/** Return the next number that looks good at the end of an axis. */
function round(n) {
  const step = 10 ** Math.floor(Math.log10(n)) / 2;
  return Math.max(Math.ceil(n / step) * step, 2);
}

/** Say which bars are cut at `max`, and how tall the tallest is. */
export function cutBars(totals, max) {
  const cut = max ? totals.filter((n) => n > max) : [];
  if (!cut.length) return "";
  const most = count(Math.max(...cut));
  return cut.length === 1 ? `; one bar is cut: ${most}` : `; ${cut.length} bars are cut, the tallest: ${most}`;
}

// Writes its value beside each bar that is cut, as far as there is room.
const values = {
  id: "values",
  afterDatasetsDraw(chart, _args, { totals, max }) {
    if (!max) return;
    const { ctx, chartArea: area } = chart;
    const bars = chart.getDatasetMeta(0).data;
    const cut = totals.map((total, i) => ({ total, i })).filter(({ total }) => total > max);
    const taken = [];
    ctx.save();
    ctx.font = `600 11px ${FONT.family}`;
    ctx.textBaseline = "top";
    for (const { total, i } of cut.sort((a, b) => b.total - a.total)) {
      const { x, width } = bars[i];
      ctx.fillStyle = colour("surface");
      ctx.fillRect(x - width / 2 - 1, area.top + 16, width + 2, 2);
      ctx.fillRect(x - width / 2 - 1, area.top + 20, width + 2, 2);
      const words = count(total);
      const size = ctx.measureText(words).width;
      const right = x + width / 2 + 4;
      const from = right + size > area.right ? x - width / 2 - 4 - size : right;
      if (taken.some((other) => from < other.to && other.from < from + size)) continue;
      taken.push({ from: from - 4, to: from + size + 4 });
      ctx.fillStyle = colour("ink");
      ctx.fillText(words, from, area.top + 1);
    }
    ctx.restore();
  },
};

/** Sum up the bars that stand on one another. */
export function totals(series) {
  return series[0].values.map((_, i) => series.reduce((sum, s) => sum + s.values[i], 0));
}

function options({ horizontal, titles, ticks, everyTick, max, share, series, open }) {
  const ink = colour("muted");
  const value = {
    stacked: true,
    beginAtZero: true,
    max: max ?? undefined,
    border: { display: false },
    grid: { color: colour("line"), drawTicks: false },
    ticks: {
      color: ink,
      font: FONT,
      maxTicksLimit: 5,
      padding: 6,
      precision: 0,
      callback: (n) => (share ? `${n} %` : count(n)),
    },
  };
  const names = {
    stacked: true,
    border: { color: colour("line") },
    grid: { display: false },
    ticks: { color: ink, font: FONT, maxRotation: 0, autoSkip: !horizontal && !everyTick, maxTicksLimit: ticks ?? 9, autoSkipPadding: 12 },
  };
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    indexAxis: horizontal ? "y" : "x",
    interaction: { mode: "index", axis: horizontal ? "y" : "x", intersect: false },
    scales: horizontal ? { x: value, y: names } : { x: names, y: value },
    onClick: (_event, [hit]) => open && hit && open(hit.index),
    plugins: {
      values: { totals: share ? [] : totals(series), max: share ? null : max },
      legend: {
        position: "top",
        align: "end",
        labels: { color: ink, font: FONT, boxWidth: 10, boxHeight: 10, borderRadius: 2, useBorderRadius: true, padding: 12 },
      },
      tooltip: {
        backgroundColor: colour("tip"),
        titleColor: colour("tip-ink"),
        bodyColor: colour("tip-ink"),
        footerColor: colour("tip-ink"),
        padding: 8,
        boxPadding: 4,
        cornerRadius: 4,
        filter: (item) => item.raw > 0 || item.datasetIndex === 0,
        callbacks: {
          title: (items) => (items.length ? titles(items[0].dataIndex) : ""),
          label: (item) => ` ${item.dataset.label}: ${share ? `${Math.round(item.raw)} %` : count(item.raw)}`,
        },
      },
    },
  };
}

function datasets(series, line, length) {
  const bars = series.map((s) => ({
    label: s.name,
    data: s.values,
    backgroundColor: colour(s.colour),
    hoverBackgroundColor: colour(s.colour),
    borderRadius: 1,
    categoryPercentage: length > 40 ? 1 : 0.8,
    barPercentage: length > 40 ? 0.85 : 0.9,
    maxBarThickness: 36,
  }));
  if (!line) return bars;
  return [
    ...bars,
    {
      type: "line",
      label: line.name,
      data: Array(length).fill(line.value),
      stack: "line",
      borderColor: colour("bad"),
      borderWidth: 1,
      borderDash: [4, 4],
      pointRadius: 0,
      pointHitRadius: 0,
    },
  ];
}

/**
 * Draw stacked bars into `body`.
 *
 * `labels` stand on the axis, `titles(i)` in tips and in the table; a series is
 * `{ name, values, colour }`; `what` says for a screen reader what there is to see. `open(i)` is
 * called for a bar that is clicked, `link(i)` makes the same link in the table.
 */
export function bars(body, chart) {
  const { labels, series, what, head } = chart;
  const titles = chart.titles ?? ((i) => labels[i]);
  const config = () => ({
    type: "bar",
    data: { labels, datasets: datasets(series, chart.line, labels.length) },
    options: options({ ...chart, titles }),
    plugins: [values],
  });
  const known = drawn.get(body);
  const canvas = el("canvas", { role: "img", "aria-label": what });
  const frame = el("div", { class: "frame" }, canvas);
  const open = body.querySelector("details")?.open ?? false;
  const numbers = el("details", { class: "numbers" }, el("summary", {}, "As a table"));
  const fill = () => {
    if (!numbers.open || numbers.querySelector("table")) return;
    const rows = labels.map((_, i) => i).reverse().filter((i) => series.some((s) => s.values[i]));
    const shown = rows.length ? rows : labels.map((_, i) => i).slice(-1);
    numbers.append(
      el("div", { class: "scroll", tabindex: "0" }, table(
        what,
        [
          { head: head ?? "", cell: (i) => (chart.link ? chart.link(i) : titles(i)) },
          ...series.map((s) => ({
            head: s.name,
            number: true,
            cell: (i) => (chart.share ? `${Math.round(s.values[i])} %` : count(s.values[i])),
          })),
        ],
        shown,
      )),
    );
  };
  numbers.addEventListener("toggle", fill);
  known?.chart.destroy();
  body.replaceChildren(frame, numbers);
  numbers.open = open;
  drawn.set(body, { config, canvas, chart: new Chart(canvas, config()) });
}

/** Take the chart of `body` away, if there is one. */
export function forget(body) {
  drawn.get(body)?.chart.destroy();
  drawn.delete(body);
}

/** Draw all charts again, in the colours that hold now. */
export function redraw() {
  for (const known of drawn.values()) {
    known.chart.destroy();
    known.chart = new Chart(known.canvas, known.config());
  }
}
