// Being let in by the program's link, and what is shown while this page is not.

import { enter, listen, tokenOf } from "/program.js";

const $ = (id) => document.getElementById(id);

const OUT = [
  "This page needs the program's link",
  "The program was started again, or this is another browser. Open the link that the program " +
    "shows in its window, or paste it here; pressing Enter in that window makes a new one.",
];

// Hears all that happens. `away` is what to say while the program does not answer, `state` hears
// how it stands, and a page that is `watchful` listens also while nobody sees it.
export async function begin({ away, state, heard, watchful }) {
  $("link-form").addEventListener("submit", connect);
  window.addEventListener("hashchange", enterByAddress);
  const words = { away, out: OUT };
  const show = (is) => {
    showState(is, words[is]);
    state(is);
  };
  show("in");
  await enterByAddress();
  listen({ state: show, heard, watchful });
}

async function enterBy(link) {
  const token = tokenOf(link);
  if (token) await enter(token);
  return token !== null;
}

async function enterByAddress() {
  const { hash } = location;
  if (!hash) return;
  history.replaceState(null, "", "/");
  // A used link is of no harm in a browser that is in already; whether it is shows next.
  await enterBy(hash).catch(() => {});
}

function showState(state, words) {
  $("away").hidden = state === "in";
  $("link-form").hidden = state !== "out";
  if (state === "in") return;
  const [what, remedy] = words;
  // A message that stays the same is not read out again.
  if ($("away-what").textContent !== what) {
    [$("away-what").textContent, $("away-try").textContent] = [what, remedy];
  }
}

async function connect(event) {
  event.preventDefault();
  const link = $("link").value;
  try {
    if (!tokenOf(link)) throw { because: "that is not a link that the program shows" };
    const at = new URL(link).origin;
    if (at !== location.origin && /^http:\/\/(127\.0\.0\.1|localhost):\d+$/.test(at)) {
      return location.assign(link);
    }
    await enterBy(link);
    $("link").value = "";
  } catch (failure) {
    $("away-try").textContent = `It did not work: ${failure.because ?? "that is no link"}.`;
  }
}
