// The pictures: the strip of the file and the chart of rates, in SVG.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const look = (worker) => `url(#w${worker.look})`;

export function swatch(worker) {
  const made = element("svg", { class: "swatch", "aria-hidden": "true", focusable: "false" });
  made.append(element("rect", { width: 16, height: 16, rx: 3, fill: look(worker) }));
  return made;
}

function canvas(svg) {
  const [wide, high] = [Math.max(1, svg.clientWidth), Math.max(1, svg.clientHeight)];
  svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  return [wide, high];
}

const deliverer = (job, by) => (by.worker === undefined ? null : job.workers.get(by.worker));

// Each cell of the file in the look of who delivered most of it.
export function strip(svg, job) {
  const [wide, high] = canvas(svg);
  const cells = job.map.reduce((sum, stretch) => sum + stretch.cells, 0) || 1;
  const parts = [];
  let from = 0;
  for (const { cells: count, by } of job.map) {
    const worker = deliverer(job, by);
    const x = (from / cells) * wide;
    const width = (count / cells) * wide;
    from += count;
    if (by === "missing") continue;
    const fill = worker ? look(worker) : "url(#earlier)";
    parts.push(element("rect", { x: x.toFixed(2), width: width.toFixed(2), y: 0, height: high, fill }));
  }
  svg.replaceChildren(...parts);
}

// The same in words.
export function stripText(job) {
  const shares = new Map();
  let whole = 0;
  for (const { cells, by } of job.map) {
    const name = by === "missing" ? "still missing" : (deliverer(job, by)?.name ?? "from before");
    shares.set(name, (shares.get(name) ?? 0) + cells);
    whole += cells;
  }
  const told = [...shares].map(([name, cells]) => `${name} ${Math.round((100 * cells) / whole)} %`);
  return told.join(", ");
}

// Everybody's rate on top of the others', and a dashed line where the own link alone would be.
export function chart(svg, job, alone) {
  const [wide, high] = canvas(svg);
  const moments = job.moments;
  const end = Math.max(job.at, moments.at(-1)?.[0] ?? 0, 1);
  const totals = moments.map(([, rates]) => rates.reduce((sum, [, rate]) => sum + rate, 0));
  const most = Math.max(1, alone, ...totals) * 1.08;
  const x = (at) => ((at / end) * wide).toFixed(1);
  const y = (rate) => (high - (rate / most) * high).toFixed(1);
  const below = moments.map(() => 0);
  const parts = [];
  for (const worker of job.workers.values()) {
    const under = below.slice();
    moments.forEach(([, rates], at) => {
      below[at] += rates.find(([id]) => id === worker.id)?.[1] ?? 0;
    });
    const top = moments.map(([at], nth) => `${x(at)},${y(below[nth])}`);
    const bottom = moments.map(([at], nth) => `${x(at)},${y(under[nth])}`).reverse();
    if (top.length) parts.push(element("polygon", { points: [...top, ...bottom].join(" "), fill: look(worker) }));
  }
  if (alone) parts.push(element("line", { class: "alone", x1: 0, x2: wide, y1: y(alone), y2: y(alone) }));
  svg.replaceChildren(...parts);
  return most / 1.08;
}
