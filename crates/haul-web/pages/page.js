// The leader's page. What others named (files, machines, errors) is shown through textContent only.

import * as draw from "/draw.js";
import { begin } from "/entry.js";
import * as form from "/form.js";
import * as left from "/left.js";
import * as list from "/list.js";
import { alone, blank, limit, past, take } from "/job.js";
import { percent, rate, remedy, size, time, times, verdict } from "/words.js";

const $ = (id) => document.getElementById(id);

let job = null;
let jobs = [];
let frame = 0;

// ---- what is heard

const HEARD = {
  jobs: showJobs,
  left: left.show,
  begin: (about) => {
    job = blank(about);
    // What comes at once is shown at once, and what comes later when the browser paints.
    show();
  },
  past: (moments) => past(job, moments),
  message: (event) => {
    if (job === null) return;
    take(job, event);
    if (event.event === "progress") frame ||= requestAnimationFrame(show);
    else show();
  },
};

function showJobs({ folder, jobs: told }) {
  const before = jobs;
  jobs = told;
  $("folder").textContent = `It is saved in ${folder}.`;
  $("downloads").hidden = jobs.length === 0;
  list.show($("jobs"), jobs, say);
  const known = new Set(jobs.map(({ id, name }) => `${id} ${name}`));
  const lost = before.filter(({ id, name, state }) => state.is !== "done" && !known.has(`${id} ${name}`));
  form.offer(new Set(lost.map(({ name }) => name)));
  if (job && !jobs.some(({ id, name }) => id === job.id && name === job.name)) job = null;
  show();
}

// ---- the download at hand

let said = "";

function say(text) {
  if (text === said) return;
  said = text;
  $("status").textContent = text;
}

function show() {
  frame = 0;
  $("job").hidden = job === null;
  document.title = title();
  if (job === null) {
    $("nearby").hidden = true;
    return;
  }
  $("job-name").textContent = job.name;
  $("job").dataset.phase = phase();
  showFigures();
  showEnd();
  showButtons();
  showPictures();
  showWorkers();
  showMachines();
  if (job.text) say(job.text);
}

const listed = () => jobs.find(({ id }) => id === job.id);

// A download that was stopped ends as a failure too; the list knows that it was wanted.
function phase() {
  return job.phase === "failed" ? (listed()?.state.is ?? "failed") : job.phase;
}

function title() {
  if (job === null || job.phase === "asking") return "haul";
  const far = { fetching: percent(job.stored, job.size), done: "done" }[job.phase] ?? phase();
  return `${far} ${job.name} · haul`;
}

function showFigures() {
  const known = job.size !== null;
  const parts = [percent(job.stored, job.size), `${size(job.stored)}${known ? ` of ${size(job.size)}` : ""}`];
  if (job.phase === "fetching") {
    parts.push(rate(job.rate));
    if (known && job.rate) parts.push(`${time((job.size - job.stored) / job.rate)} left`);
  }
  $("figures").textContent = parts.filter(Boolean).join(" · ");
  if (known && job.size) $("bar").value = job.stored / job.size;
  else if (job.phase === "done") $("bar").value = 1;
  else $("bar").removeAttribute("value");
  const nothing = job.stored === 0 && job.phase === "failed";
  $("figures").hidden = nothing;
  $("bar").hidden = nothing;
}

function showEnd() {
  const is = phase();
  $("verdict").hidden = !["done", "failed", "paused", "cancelled"].includes(is);
  $("verdict").className = is === "failed" ? "failed" : "";
  // What the verdict says is heard once more, but not seen twice.
  $("status").className = $("verdict").hidden ? "status" : "unseen";
  if ($("verdict").hidden) return;
  const [what, why, next] = is === "done" ? success(job.end) : stopped(is, job.end);
  $("verdict-what").textContent = what;
  $("verdict-why").textContent = why;
  $("verdict-try").textContent = next;
  say(what);
}

function success({ path, seconds, verified, workers, speedup }) {
  const helpers = workers.filter(({ worker, bytes }) => worker !== 0 && bytes > 0).length;
  const gain = helpers ? `, ${times(speedup)} with the help of ${helpers}` : "";
  return [`Done in ${time(seconds)}${gain}.`, verdict(verified), `Saved as ${path}.`];
}

function stopped(is, failure) {
  if (is === "paused") return ["Paused.", "", remedy({ code: 7 })];
  if (is === "cancelled") return ["Cancelled.", "What there is stays in the folder.", remedy({ code: 7 })];
  return [`${failure.error.charAt(0).toUpperCase()}${failure.error.slice(1)}.`, failure.because, remedy(failure)];
}

// Only a changed state makes new buttons, so that the focus stays where it is.
function showButtons() {
  const about = listed();
  const state = about ? `${about.id} ${about.state.is}` : "";
  const row = $("job-buttons");
  if (row.dataset.state === state) return;
  const had = row.contains(document.activeElement);
  row.dataset.state = state;
  row.parentElement.querySelectorAll(".buttons + form").forEach((open) => open.remove());
  row.replaceChildren(...(about ? list.buttons(about, say) : []));
  if (had) row.firstElementChild?.focus();
}

function showPictures() {
  $("pictures").hidden = job.workers.size === 0;
  $("limit-part").hidden = job.phase !== "fetching";
  if (job.workers.size === 0) return;
  draw.strip($("strip"), job);
  $("strip-text").textContent = draw.stripText(job);
  const reference = alone(job);
  const most = draw.chart($("chart"), job, reference);
  $("chart-text").textContent = reference
    ? `Up to ${rate(most)} over ${time(job.at)}. The dashed line is you alone: ${rate(reference)}.`
    : `Up to ${rate(most)} over ${time(job.at)}.`;
  $("limit-text").textContent = limit(job);
}

const STATES = {
  ready: () => "ready",
  fetching: ({ lanes }) => `fetching over ${lanes} ${lanes === 1 ? "connection" : "connections"}`,
  gone: ({ because }) => `gone: ${because}`,
};

function showWorkers() {
  const rows = [...job.workers.values()].map((worker) => {
    const line = workerRow(worker);
    line.className = worker.state === "gone" ? "gone" : "";
    const [state, fast, bytes] = line.parts;
    state.textContent = job.phase === "fetching" ? STATES[worker.state](worker) : "";
    fast.textContent = job.phase === "fetching" && worker.state !== "gone" ? rate(worker.rate) : "";
    bytes.textContent = size(worker.bytes);
    return line;
  });
  const body = $("workers");
  if (rows.length !== body.children.length || rows.some((row, at) => body.children[at] !== row)) {
    body.replaceChildren(...rows);
  }
}

function workerRow(worker) {
  if (worker.row && worker.row.named === worker.name) return worker.row;
  const line = document.createElement("tr");
  const [who, fast, bytes] = ["td", "td", "td"].map((tag) => document.createElement(tag));
  const state = document.createElement("small");
  who.append(draw.swatch(worker), document.createTextNode(worker.name), state);
  line.append(who, fast, bytes);
  worker.row = Object.assign(line, { parts: [state, fast, bytes], named: worker.name });
  return line;
}

const MACHINES = {
  found: ({ because }) => `seen (by ${because}); it has not answered, so haul's helper may not run there`,
  asked: ({ because }) => `its owner is being asked; the code of this machine is ${because}`,
  no: ({ because }) => `does not help${because ? `: ${because}` : ": its owner said no"}`,
  busy: ({ because }) => `helps somebody else${because ? `: ${because}` : ""}`,
  later: ({ because }) => `cannot help now${because ? `: ${because}` : ""}`,
  helps: ({ because }) => `helps; ${because}`,
  gone: ({ because }) => `does not help any more: ${because}`,
};

function showMachines() {
  const text = nearbyText();
  $("nearby").hidden = !text && job.machines.size === 0;
  $("nearby-text").textContent = text;
  const told = JSON.stringify([...job.machines]);
  if ($("machines").dataset.told === told) return;
  $("machines").dataset.told = told;
  const items = [...job.machines.values()].map((machine) => {
    const item = document.createElement("li");
    const name = document.createElement("strong");
    const about = document.createElement("small");
    const { name: called, address } = machine;
    name.textContent = called === address ? address : `${called} (${address})`;
    about.textContent = MACHINES[machine.state](machine);
    item.append(name, about);
    return item;
  });
  $("machines").replaceChildren(...items);
}

function nearbyText() {
  if (job.ranges === false) return "Nobody is asked: the server gives this file in one piece only.";
  if (job.asked === null) return job.phase === "fetching" ? "Nobody is asked for this download." : "";
  if (job.asked === 0) return "There is no network to ask on: see that this machine is connected.";
  if (job.machines.size > 0) return "";
  if (job.at < 5) return "Asking the machines around for help.";
  return "Nobody has answered. Start haul's helper on other machines of this network, and see that " +
    "the network lets machines talk to each other; guest networks often do not.";
}

// ---- all together

const AWAY = [
  "The program does not answer",
  "It was stopped, or is just starting. This page tries again by itself; a download that was " +
    "under way goes on where it was, once it is submitted again.",
];

form.setUp();
window.addEventListener("resize", () => job && showPictures());
begin({
  away: AWAY,
  state: (is) => ($("submit").disabled = is !== "in"),
  heard: (kind, value) => HEARD[kind]?.(value),
});
