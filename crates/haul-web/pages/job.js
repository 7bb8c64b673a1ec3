// What is known of the download at hand. Nothing here touches the page.

const MOST_MOMENTS = 480;
const SECONDS = 3;

export function blank({ job, save_as: name }) {
  return {
    id: job,
    name,
    phase: "asking",
    at: 0,
    size: null,
    ranges: null,
    stored: 0,
    durable: 0,
    rate: 0,
    asked: null,
    map: [],
    workers: new Map(),
    machines: new Map(),
    moments: [],
    // What the own link brought before anybody helped, once that could be measured.
    before: null,
    joinedAt: null,
    text: "Asking the server.",
    end: null,
  };
}

// Everybody has a look, in the order of coming; there are eight.
export function worker(job, id, name) {
  let known = job.workers.get(id);
  if (!known) {
    const look = id === 0 ? 0 : 1 + (Math.max(0, job.workers.size - 1) % 7);
    known = { id, name, look, rate: 0, bytes: 0, lanes: 0, state: "ready", because: "" };
    job.workers.set(id, known);
  }
  return known;
}

const HEARD = {
  probed(job, { size, ranges }) {
    Object.assign(job, { size, ranges, phase: "fetching", text: "The server has the file." });
  },
  asked(job, { interfaces, addresses }) {
    job.asked = interfaces + addresses;
  },
  found(job, { address, how }) {
    const isKnown = [...job.machines.values()].some((known) => known.address === address);
    if (!isKnown) job.machines.set(address, { name: address, address, state: "found", because: how });
  },
  offered(job, { name, address, code, standing }) {
    machine(job, name, address, "asked", code);
    if (standing === "namesake") job.text = `${name} goes by a known machine's name, but is another.`;
  },
  answered(job, { name, address, answer, because }) {
    if (answer === "yes") return;
    machine(job, name, address, answer, because ?? "");
    job.text = `${name} does not help${because ? `: ${because}` : ""}.`;
  },
  joined(job, { worker: id, name, address, code }) {
    worker(job, id, name);
    machine(job, name, address, "helps", `its screen shows the code ${code}`);
    job.text = `${name} helps.`;
    if (job.joinedAt === null) {
      job.joinedAt = job.at;
      job.before = job.at >= SECONDS ? mean(job, (moment) => total(moment)) : null;
    }
  },
  progress(job, { stored, durable, rate, workers, map }) {
    Object.assign(job, { stored, durable, rate, map });
    if (job.phase === "asking") job.phase = "fetching";
    for (const known of job.workers.values()) {
      if (known.state !== "gone") Object.assign(known, { rate: 0, lanes: 0, state: "ready" });
    }
    for (const { worker: id, name, bytes, rate: fast, lanes } of workers) {
      const state = lanes > 0 ? "fetching" : "ready";
      Object.assign(worker(job, id, name), { bytes, rate: fast, lanes, state });
    }
    remember(job, [job.at, workers.map((one) => [one.worker, one.rate, one.held])]);
  },
  lost(job, { worker: id, name, because }) {
    Object.assign(worker(job, id, name), { rate: 0, lanes: 0, state: "gone", because });
    for (const known of job.machines.values()) {
      if (known.name === name) Object.assign(known, { state: "gone", because });
    }
    job.text = `${name} is gone: ${because}.`;
  },
  blamed(job, { name }) {
    for (const known of job.machines.values()) {
      if (known.name === name) known.because = "it delivered wrong bytes";
    }
    job.text = `${name} delivered bytes that are not those of the server.`;
  },
  repaired(job) {
    job.text = "Some of it failed its check and is fetched again.";
  },
  note(job, { text }) {
    job.text = `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
  },
  nobody(job, { causes: [{ because, try: remedy }] }) {
    job.text = `Nobody was found to help, perhaps because ${because}. What to try: ${remedy}.`;
  },
  done(job, report) {
    for (const { worker: id, name, bytes } of report.workers) {
      Object.assign(worker(job, id, name), { bytes, rate: 0, lanes: 0 });
    }
    const { bytes } = report;
    Object.assign(job, { phase: "done", end: report, stored: bytes, size: bytes, rate: 0, text: "" });
  },
  failed(job, failure) {
    for (const known of job.workers.values()) Object.assign(known, { rate: 0, lanes: 0 });
    Object.assign(job, { phase: "failed", end: failure, rate: 0, text: "" });
  },
};

export function take(job, event) {
  job.at = event.at || job.at;
  HEARD[event.event]?.(job, event);
}

// How it went before this page was opened.
export function past(job, moments) {
  job.moments = moments;
  for (const [, rates] of moments) for (const [id] of rates) worker(job, id, "");
}

function remember(job, moment) {
  job.moments.push(moment);
  if (job.moments.length > MOST_MOMENTS) {
    job.moments = job.moments.filter((_, at) => at % 2 === 0);
  }
}

// Several machines may be behind one address, and a machine that answers was often found before.
function machine(job, name, socket, state, because) {
  const address = host(socket);
  job.machines.delete(address);
  job.machines.set(`${name} ${address}`, { name, address, state, because });
}

// The host of `10.0.0.2:4285` or `[::1]:4285`.
function host(address) {
  return address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}

const total = ([, rates]) => rates.reduce((sum, [, rate]) => sum + rate, 0);
const own = ([, rates]) => rates.find(([id]) => id === 0)?.[1] ?? 0;

// Every helper's rate times how much of its time the way to this machine holds its bytes. The past
// does not know that.
const held = ([, rates]) => rates.reduce((sum, [, rate, share = 0]) => sum + (rate * share) / 100, 0);

function mean(job, value) {
  const recent = job.moments.filter(([at]) => at >= job.at - SECONDS);
  return recent.length ? recent.reduce((sum, one) => sum + value(one), 0) / recent.length : 0;
}

// What the own link alone would bring: what it did, or while that is not known, its best 2 s.
export function alone(job) {
  if (job.phase === "done" && job.end.alone_seconds) return job.end.bytes / job.end.alone_seconds;
  let best = 0;
  for (let at = 0; at + 8 <= job.moments.length; at += 1) {
    const window = job.moments.slice(at, at + 8);
    best = Math.max(best, window.reduce((sum, one) => sum + own(one), 0) / 8);
  }
  return best || mean(job, own);
}

// Where the narrowest place is, as far as what was heard proves it.
export function limit(job) {
  if (job.ranges === false) {
    return "The server: it gives this file in one piece only, so nobody can help.";
  }
  if (job.phase !== "fetching" || job.at < SECONDS) return "Not known yet.";
  const waiting = job.stored - job.durable;
  // What comes in within two seconds always waits.
  if (waiting > 8 * 2 ** 20 && waiting > 5 * Math.max(job.rate, mean(job, total))) {
    return "This machine's disk: it saves more slowly than the bytes come in.";
  }
  const now = mean(job, total);
  const helped = now - mean(job, own);
  if (now === 0) return "The server or the network: nothing comes in at present.";
  if (helped < 0.03 * now) {
    return "Not known: while one link fetches alone, that link and the server look alike.";
  }
  if (job.at - job.joinedAt < SECONDS) return "Not known yet: the help has only begun.";
  if (mean(job, held) >= 0.5 * helped) {
    return "Your local network: the helpers fetch faster than it carries their bytes here.";
  }
  if (job.before !== null && now < 1.1 * job.before) {
    return "The server, or a line that all machines share: help does not make it faster.";
  }
  return helped >= 0.2 * now
    ? "Your own link, or what the server gives one machine: the help adds to it."
    : "Not known: the help is too little to tell.";
}
