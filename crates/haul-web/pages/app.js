"use strict";

// Everything that others named (files, machines, errors) is shown through textContent only.

const $ = (id) => document.getElementById(id);

const VERDICTS = {
  "sha-256": "Verified by SHA-256.",
  "sha-512": "Verified by SHA-512.",
  "unverified": "Size and version are right; nobody states a checksum.",
  "length-unverified": "Unverified, not even its length: the server marks no end.",
};

// What to try, where the page offers something else than the command line does.
const REMEDIES = {
  2: "Check the link and the name.",
  6: "Check the link and this machine's connection, then submit again: it goes on where it was.",
  7: "Submit again: it goes on where it was.",
  13: "Save it under another name.",
  22: "Submit again later, or give the link of another mirror.",
  24: "This page cannot sign in; use leader get with -H in a terminal.",
  41: "Save it under another name to get the new version.",
};

const job = { size: null, workers: new Map() };

// ---- talking to the program

async function post(path, value) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-haul": "1" },
    body: JSON.stringify(value),
  });
  if (!answer.ok) throw await answer.json();
}

async function enter() {
  const token = new URLSearchParams(location.hash.slice(1)).get("t");
  if (!token) return;
  history.replaceState(null, "", "/");
  // A used link is of no harm in a browser that is in already; whether it is shows next.
  await post("/session", { token }).catch(() => {});
}

async function showState() {
  const answer = await fetch("/jobs");
  if (!answer.ok) throw await answer.json();
  const { folder, busy } = await answer.json();
  $("folder").textContent = `A file name; it is saved in ${folder}.`;
  setBusy(busy);
}

let events = null;

// A hidden page lets its stream go: browsers open only six connections to a server.
function listen() {
  if (document.hidden || events) return;
  events = new EventSource("/events");
  events.addEventListener("begin", (message) => begin(JSON.parse(message.data)));
  events.addEventListener("message", (message) => heard(JSON.parse(message.data)));
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) lost();
    else say("The program does not answer. Trying again…");
  });
}

function unlisten() {
  if (!document.hidden || !events) return;
  events.close();
  events = null;
}

function lost() {
  events = null;
  trouble({
    error: "This page has lost the program",
    because: "it was stopped, or was started again",
    try: "open the link that the program prints when it starts",
  });
}

// ---- what happens in a job

const HEARD = {
  probed: ({ size }) => {
    job.size = size;
    say("The server has the file.");
  },
  asked: () => say("Asking the machines around for help."),
  answered: ({ name, answer, because }) => {
    if (answer !== "yes") say(`${name} does not help${because ? `: ${because}` : ""}.`);
  },
  joined: ({ worker, name }) => {
    row(worker, name);
    say(`${name} helps.`);
  },
  progress: showProgress,
  lost: ({ worker, name, because }) => {
    row(worker, name).line.className = "gone";
    row(worker, name).rate.textContent = "gone";
    say(`${name} is gone: ${because}.`);
  },
  repaired: ({ bytes }) => say(`${size(bytes)} failed their check and are fetched again.`),
  note: ({ text }) => say(`${text}.`),
  done,
  failed,
};

function begin({ save_as: name }) {
  job.size = null;
  job.workers.clear();
  $("workers").replaceChildren();
  $("job-name").textContent = name;
  $("figures").textContent = "";
  $("bar").removeAttribute("value");
  $("trouble").hidden = true;
  $("job").hidden = false;
  say("Asking the server.");
  setBusy(true);
}

function heard(event) {
  HEARD[event.event]?.(event);
}

function showProgress({ stored, rate, workers }) {
  if (job.size) $("bar").value = stored / job.size;
  const whole = job.size === null ? "" : ` of ${size(job.size)}`;
  $("figures").textContent = `${size(stored)}${whole} · ${size(rate)}/s${left(stored, rate)}`;
  for (const worker of workers) {
    const shown = row(worker.worker, worker.name);
    shown.rate.textContent = `${size(worker.rate)}/s`;
    shown.bytes.textContent = size(worker.bytes);
  }
}

function left(stored, rate) {
  if (!job.size || !rate) return "";
  return ` · ${time((job.size - stored) / rate)} left`;
}

function done({ path, bytes, seconds, verified, workers, speedup }) {
  $("bar").value = 1;
  $("figures").textContent = `${size(bytes)} in ${time(seconds)}`;
  for (const worker of workers) {
    const shown = row(worker.worker, worker.name);
    shown.rate.textContent = "";
    shown.bytes.textContent = size(worker.bytes);
  }
  const helped = workers.some(({ worker, bytes }) => worker !== 0 && bytes > 0);
  const gain = helped ? ` ${speedup.toFixed(1)} times as fast as alone.` : "";
  say(`Done: ${path}. ${VERDICTS[verified] ?? ""}${gain}`);
  setBusy(false);
}

function failed(failure) {
  say("");
  if (failure.code === 7) say(`Stopped. ${REMEDIES[7]}`);
  else trouble({ ...failure, try: REMEDIES[failure.code] ?? failure.try });
  setBusy(false);
}

// ---- showing

function row(worker, name) {
  const known = job.workers.get(worker);
  if (known) return known;
  const line = document.createElement("tr");
  const [who, rate, bytes] = ["td", "td", "td"].map((tag) => document.createElement(tag));
  who.textContent = name;
  line.append(who, rate, bytes);
  $("workers").append(line);
  const made = { line, rate, bytes };
  job.workers.set(worker, made);
  return made;
}

function say(text) {
  $("status").textContent = text;
}

function trouble({ error, because, try: remedy }) {
  $("trouble-what").textContent = error ?? "Something went wrong";
  $("trouble-because").textContent = because ? `Why: ${because}` : "";
  $("trouble-try").textContent = remedy ? `Try: ${remedy}` : "";
  $("trouble").hidden = false;
}

function setBusy(busy) {
  $("submit").disabled = busy;
  $("cancel").hidden = !busy;
}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit + 1 < units.length) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
}

function time(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// The last part of the URL's path, if it can be a file's name.
function nameOf(url) {
  try {
    const last = decodeURIComponent(new URL(url).pathname.split("/").pop());
    return /^[^./\\:][^/\\:]*$/.test(last) ? last : "";
  } catch {
    return "";
  }
}

// ---- the form

// A name that the user typed is never overwritten by one that is taken from the URL.
let typed = false;

$("save-as").addEventListener("input", () => {
  typed = $("save-as").value !== "";
});

$("url").addEventListener("input", () => {
  if (!typed) $("save-as").value = nameOf($("url").value);
});

async function attempt(work) {
  try {
    await work();
  } catch (failure) {
    const unreached = { error: "The program does not answer", because: "it may have been stopped" };
    trouble(failure?.because ? failure : unreached);
  }
}

$("wanted").addEventListener("submit", (event) => {
  event.preventDefault();
  $("trouble").hidden = true;
  attempt(() => post("/jobs", { url: $("url").value, save_as: $("save-as").value }));
});

$("cancel").addEventListener("click", () => attempt(() => post("/jobs/cancel", {})));

attempt(async () => {
  await enter();
  await showState();
  listen();
  document.addEventListener("visibilitychange", () => {
    unlisten();
    listen();
  });
});
