// Talking to the program that serves this page.

const KEY = "haul-key";
const AGAIN = 1000;

const auth = () => ({ "x-haul-key": localStorage.getItem(KEY) ?? "" });

async function send(path, value) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { ...auth(), "content-type": "application/json" },
    body: JSON.stringify(value),
  });
  const told = await answer.json();
  if (!answer.ok) throw told;
  return told;
}

// Throws what the program refuses it with: error, because, try, and sometimes code.
export async function post(path, value) {
  try {
    return await send(path, value);
  } catch (failure) {
    if (failure?.because) throw failure;
    throw {
      error: "The program does not answer",
      because: "the program does not answer; it may have been stopped",
      try: "See that it still runs.",
    };
  }
}

// Exchanges the token of a link for what lets this browser in.
export async function enter(token) {
  const { key } = await post("/api/session", { token });
  localStorage.setItem(KEY, key);
}

export function tokenOf(link) {
  return /[#&]t=([0-9a-f]{64})$/.exec(link.trim())?.[1] ?? null;
}

// Hears all that happens, for ever, and comes back after every break.
//
// `state` is told "in", "out" (the program does not know this browser) or "away". A hidden page
// lets its stream go, because browsers open only six connections to a server, unless it has to be
// watchful.
export async function listen({ state, heard, watchful }) {
  const last = { id: "0", key: "" };
  for (;;) {
    if (!watchful) await shown();
    const stop = new AbortController();
    const hide = () => document.hidden && !watchful && stop.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      await follow(last, stop.signal, state, heard);
    } catch {
      // The program or the page went away; which of them shows next.
    }
    document.removeEventListener("visibilitychange", hide);
    if (!stop.signal.aborted) await pause();
  }
}

async function follow(last, signal, state, heard) {
  const headers = auth();
  // A program that was started again counts its events anew.
  if (last.key !== headers["x-haul-key"]) Object.assign(last, { id: "0", key: headers["x-haul-key"] });
  let answer;
  try {
    answer = await fetch("/api/events", { headers: { ...headers, "last-event-id": last.id }, signal });
  } catch (failure) {
    if (!signal.aborted) state("away");
    throw failure;
  }
  if (!answer.ok) return state(answer.status === 403 ? "out" : "away");
  state("in");
  await read(answer.body, last, heard);
}

// Server-sent events; the ones of this program have one line of data each.
async function read(body, last, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map(field));
      if (fields.data) heard(fields.event ?? "message", JSON.parse(fields.data));
      if (fields.id) last.id = fields.id;
    }
  }
}

function field(line) {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
}

function shown() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
}

// Another window that was let in lets this one in too, at once.
function pause() {
  return new Promise((go) => {
    setTimeout(go, AGAIN);
    window.addEventListener("storage", go, { once: true });
  });
}
