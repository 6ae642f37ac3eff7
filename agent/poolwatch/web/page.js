"use strict";
// Everything is set as text, never as markup: names, statements and paths come from the watched program.

const EVERY = 2000;
const GRADES = ["proved", "probable", "suspected"];
const FEW = 8;
const PEOPLE = 4;
const TOKEN = "poolwatch-token"; // in sessionStorage: of this tab and this address alone, and gone with the tab
const opened = new Set();
let allPools = false;
let last = null;
let seenAt = 0;

function make(tag, { text, cls, ...rest } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (cls) element.className = cls;
  Object.assign(element, rest);
  element.append(...children.filter(Boolean));
  return element;
}

function span(seconds) {
  if (seconds < 10) return `${Math.max(seconds, 0).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function place(site) {
  return site ? `${site.file}:${site.line} ${site.function}` : "unknown";
}

function owner(who) {
  const inner = who.task || who.greenlet;
  const scope = who.scope ? `, in ${who.scope}` : "";
  return `${inner ? `${inner} on ` : ""}thread ${who.thread} (pid ${who.pid}${scope})${who.alive ? "" : ", ended"}`;
}

function bar(pool) {
  // A pool without a limit never looks full.
  const limit = Math.max(pool.limits.max ?? 10 * Math.ceil((pool.used + pool.idle + 1) / 10), pool.used + pool.idle, 1);
  const parts = [["used", pool.used], ["idle", pool.idle]].map(([cls, count]) => {
    const part = make("span", { cls });
    part.style.width = `${(100 * count) / limit}%`;
    return part;
  });
  const element = make("div", { cls: "bar", role: "img" }, ...parts);
  element.setAttribute("aria-label", `${pool.used} used, ${pool.idle} idle, limit ${pool.limits.max ?? "none"}`);
  return element;
}

function poolRow(pool, several) {
  const full = pool.limits.max !== null && pool.used >= pool.limits.max;
  const about = `${pool.library} ${pool.class}${several ? `, pid ${pool.pid}` : ""}`;
  const cell = (value, hot) => make("td", { text: value, cls: hot ? "hot" : "" });
  return make("tr", {},
    make("td", { text: pool.name }, make("small", { text: about })),
    make("td", { cls: "wide" }, bar(pool)),
    cell(pool.used, full), cell(pool.idle), cell(pool.limits.max ?? "none"), cell(pool.waiting, pool.waiting > 0),
    cell(pool.used ? span(pool.oldest_lease_seconds || 0) : ""), cell(pool.checkouts_total),
    cell(pool.timeouts_total, pool.timeouts_total > 0));
}

function stacks(finding) {
  const filled = Object.entries(finding.stacks).filter(([, frames]) => frames.length);
  if (!filled.length) return null;
  const blocks = filled.map(([name, frames]) => make("div", {},
    make("strong", { text: name.replace("_", " ") }), make("pre", { text: frames.map(place).join("\n") })));
  const head = make("summary", { text: "Stacks", id: `stacks-${finding.id}` });
  const details = make("details", { open: opened.has(finding.id) }, head, ...blocks);
  details.addEventListener("toggle", () => details.open ? opened.add(finding.id) : opened.delete(finding.id));
  return details;
}

function longest(people, seconds, word) {
  if (!Array.isArray(people)) return "";
  const sorted = [...people].sort((left, right) => right[seconds] - left[seconds]);
  const lines = sorted.slice(0, PEOPLE).map((one) => {
    const scope = one.scope ? `, in ${one.scope}` : "";
    const marks = `${one.alive === false ? ", ended" : ""}${one.timed_out ? ", timed out" : ""}`;
    return `${one.owner}${scope}${marks}, for ${span(one[seconds])}, ${word} ${one.site}`;
  });
  return [...lines, ...(sorted.length > PEOPLE ? [`… and ${sorted.length - PEOPLE} more`] : [])].join("\n");
}

function facts(finding) {
  const held = longest(finding.lease.holders, "age_seconds", "from");
  const rows = [
    ["site", finding.site && place(finding.site)],
    ["owners", !held && finding.owners.map(owner).join("\n")],
    ["held by", held],
    ["waiting", longest(finding.lease.waiters, "waited_seconds", "at")],
    ["last statement", finding.lease.last_statement],
    ["kept alive by", finding.retained_by.join("\n")],
    ["resolved", finding.resolution],
    ["hint", finding.hint],
  ];
  const filled = rows.filter(([, value]) => value);
  return make("dl", {}, ...filled.flatMap(([name, text]) => [make("dt", { text: name }), make("dd", { text })]));
}

function findingCard(finding, now) {
  const state = finding.state === "open" ? finding.grade : "resolved";
  const times = finding.count > 1 ? `, ${finding.count} times` : "";
  const age = `${finding.pool}, first seen ${span(now - finding.first_seen)} ago${times}`;
  const title = make("h3", {}, make("span", { text: state, cls: `grade ${state}` }),
    make("span", { text: finding.kind }), make("span", { text: age }));
  return make("article", { cls: state }, title, make("p", { text: finding.summary }), facts(finding), stacks(finding));
}

function rank(finding) {
  return (finding.state === "open" ? 0 : 10) + GRADES.indexOf(finding.grade);
}

function trouble(pool) {
  return [pool.waiting, pool.timeouts_total, pool.used / (pool.limits.max ?? Infinity), pool.used, pool.checkouts_total];
}

function compare(left, right) {
  const place = left.findIndex((value, index) => value !== right[index]);
  return place < 0 ? 0 : right[place] - left[place];
}

function drawPools(report) {
  const several = report.processes.length > 1;
  const pools = [...report.pools].sort((a, b) => compare(trouble(a), trouble(b)));
  const shown = allPools ? pools : pools.slice(0, FEW);
  fill("pools", shown.map((pool) => poolRow(pool, several)),
    make("tr", {}, make("td", { text: "No pool has been used yet.", cls: "empty", colSpan: 9 })));
  const more = document.getElementById("more");
  more.hidden = pools.length <= FEW;
  more.textContent = allPools ? "Show the busiest pools" : `Show all ${pools.length} pools`;
}

function draw(report) {
  const focused = document.activeElement && document.activeElement.id;
  const several = report.processes.length > 1;
  const findings = [...report.findings].sort((a, b) => rank(a) - rank(b) || a.first_seen - b.first_seen);
  const open = findings.filter((finding) => finding.state === "open").length;
  const first = report.processes[0];
  last = report;
  drawPools(report);
  fill("findings", findings.map((finding) => findingCard(finding, report.generated_at)),
    make("p", { text: "Nothing found.", cls: "empty" }));
  document.getElementById("findings-title").textContent = `Findings (${open} open)`;
  document.getElementById("process").textContent =
    several ? `${report.processes.length} processes` : first ? `${first.argv.join(" ")} (pid ${first.pid})` : "";
  document.getElementById("open").textContent = open ? `${open} open finding${open > 1 ? "s" : ""}` : "";
  document.title = open ? `(${open}) poolwatch` : "poolwatch";
  if (focused) document.getElementById(focused)?.focus();
}

function fill(id, children, empty) {
  document.getElementById(id).replaceChildren(...(children.length ? children : [empty]));
}

function say(text, stale) {
  const status = document.getElementById("status");
  if (status.textContent !== text) status.textContent = text;
  status.className = stale ? "stale" : "";
}

function known() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch { // the browser may allow no storage, and most servers want no token
    return null;
  }
}

function lock(locked) {
  document.getElementById("unlock").hidden = !locked;
  document.getElementById("report").hidden = locked;
  document.getElementById("links").hidden = locked || Boolean(known()); // a link carries no token
}

function ask(refused) {
  if (refused) sessionStorage.removeItem(TOKEN);
  say(refused ? "Not this token" : "A token is needed", true);
  lock(true);
  document.getElementById("token").focus();
}

function unlock(event) {
  const field = document.getElementById("token");
  event.preventDefault();
  try {
    sessionStorage.setItem(TOKEN, field.value);
  } catch {
    return say("No token can be kept: this browser allows no session storage", true);
  }
  field.value = "";
  lock(false);
  look();
}

async function look() {
  const token = known();
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const response = await fetch("/report.json", { headers, signal: AbortSignal.timeout(5000) });
    if (response.status === 401) return ask(token);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const report = await response.json();
    seenAt = Date.now();
    if (getSelection().type !== "Range") draw(report); // do not pull away what somebody is copying
    say("Live", false);
  } catch {
    say(seenAt ? `No answer for ${span((Date.now() - seenAt) / 1000)}` : "No answer", true);
  }
  setTimeout(look, EVERY);
}

document.getElementById("more").addEventListener("click", () => {
  allPools = !allPools;
  if (last) drawPools(last);
});
document.getElementById("unlock").addEventListener("submit", unlock);
lock(false);
look();
