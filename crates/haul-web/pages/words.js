// Numbers and errors in words.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function size(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit + 1 < UNITS.length) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[unit]}`;
}

export function rate(bytes) {
  return `${size(bytes)}/s`;
}

export function time(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function percent(part, whole) {
  return whole ? `${Math.floor((100 * part) / whole)} %` : "";
}

export function times(factor) {
  return `${factor.toFixed(1)} times as fast as alone`;
}

const VERDICTS = {
  "sha-256": "Verified by SHA-256.",
  "sha-512": "Verified by SHA-512.",
  "sampled": "Sampled: size and version agree, and so do parts of what helpers brought; nobody states a checksum.",
  "unverified": "Unverified: size and version agree, but nobody states a checksum.",
  "length-unverified": "Unverified, not even its length: the server marks no end.",
};

export function verdict(verified) {
  return VERDICTS[verified] ?? `Checked: ${verified}.`;
}

// What to try, by the code of the error: what this page offers, not what a command line does.
const REMEDIES = {
  1: "Press Resume to try it again.",
  2: "Check the link, the name and the checksum.",
  3: "Check the link: the server has no such file. If it moved, press Another link.",
  6: "Check the link and this machine's connection, then press Resume: it goes on where it was.",
  7: "Press Resume: it goes on where it was.",
  9: "Make room on the disk, or see that the folder may be written to; then press Resume.",
  11: "Wait until the other program has ended, or save it under another name.",
  13: "Save it under another name, or move the file that is there away.",
  22: "Press Resume later, or Another link to fetch it from another mirror.",
  23: "Open the link in a browser, and copy where it ends.",
  24: "Open the link in a browser. If it was good for a time only, press Another link and paste a fresh one.",
  32: "Check the checksum. If it is right, do not use the file: the server has another one.",
  40: "Start haul's helper on more machines of this network.",
  41: "Save it under another name to get the new version.",
  42: "Save it under another name, with fewer helpers around.",
  43: "If you trust where it leads, submit its link again and, under More, let the server lead to private addresses.",
};

export function remedy(failure) {
  return REMEDIES[failure.code] ?? sentence(failure.try ?? "Try it again later.");
}

// As it stands at the beginning of a sentence.
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// A name and its extension; `file.tar.gz` ends in `tar.gz`.
export function split(name) {
  const found = /^(.+?)\.((?:tar\.)?[A-Za-z0-9]{1,16})$/.exec(name);
  return found ? [found[1], found[2]] : [name, ""];
}

export function join(name, extension) {
  const end = extension.trim().replace(/^\.+/, "");
  return end ? `${name.trim()}.${end}` : name.trim();
}

// The last part of a URL's path, if it can be a file's name.
export function nameOf(url) {
  try {
    const last = decodeURIComponent(new URL(url).pathname.split("/").pop());
    return /^[^./\\:][^/\\:]*$/.test(last) ? last : "";
  } catch {
    return "";
  }
}

// A time of the day, and of which day of the week.
export function clock(unix) {
  return new Date(unix * 1000).toLocaleString(undefined, {
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
  });
}

// A length of time that is not measured to parts of a second.
export function span(seconds) {
  return seconds < 60 ? `${Math.round(seconds)} s` : time(seconds);
}

// What a rule of the helper's policy means, by its name.
const RULES = {
  "paused": "help was paused",
  "mode never": "your rules help nobody",
  "when.hours": "your rules help at other hours",
  "when.metered": "the connection is metered",
  "when.vpn": "a VPN is up",
  "when.battery": "the battery is low",
  "when.unknown": "something about this machine cannot be told",
  "limits.largest_share": "so much of one file is enough",
  "limits.per_job": "so much for one file is enough",
  "limits.per_day": "so much for one day is enough",
  "limits.per_30_days": "so much for 30 days is enough",
};

export function rule(name) {
  return sentence(RULES[name] ?? name);
}
