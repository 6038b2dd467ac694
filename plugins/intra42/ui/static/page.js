// The page: fetches the figures, draws them, and fetches them again each minute.

import { figure, Problem } from "./api.js";
import { bars, cap, forget, redraw, totals } from "./charts.js";
import { airflowLink, el, sentence, table } from "./dom.js";
import { atMoment, atTime, count, counted, duration, fromNow, onDay, timeZone } from "./format.js";
import { followTheme } from "./theme.js";

const REFRESH_MS = 60_000;
const OURS = document.body.dataset.dags.split(" ");
const DAG = new URLSearchParams(location.search).get("dag");

const STATES = { fresh: "fresh", due: "due", late: "late", never: "never" };
const WAYS = {
  refresh: ["a quarter hour's refresh", "incremental"],
  nightly: ["the nightly run", "nightly"],
};
const PERIODS = {
  day: ["quarter hour", "the last 24 hours"],
  week: ["hour", "the last 7 days"],
  month: ["day", "the last 30 days"],
};

const get = (id) => document.getElementById(id);
const bodyOf = (id) => get(id).querySelector(".body");
const hint = (id, text) => get(id).querySelector(".hint").replaceChildren(text);
const card = (id, figureText, note, words = false) => {
  const shown = get(id).querySelector(".figure");
  shown.replaceChildren(...[figureText].flat());
  shown.classList.toggle("words", words);
  get(id).querySelector(".note").textContent = note;
};

let span = "day";

function drawFreshness({ tables }) {
  const list = el("ul", { class: "ages", "aria-label": "Age of every table and its promise" });
  for (const t of tables) {
    const fill = el("i");
    // Two thirds of the bar are the promise: what is late by half as much again fills it.
    fill.style.width = t.age_s === null ? "0" : `${Math.min(t.age_s / t.promise_s / 1.5, 1) * 100}%`;
    const age = t.age_s === null ? "not read yet" : `${duration(t.age_s)} of ${duration(t.promise_s)}`;
    list.append(
      el(
        "li",
        { class: t.state, title: t.read_at ? `Read up to ${atMoment(t.read_at)}` : null },
        el("code", {}, t.table),
        el("span", { class: "bar", "aria-hidden": "true" }, fill),
        el("span", { class: "age" }, age),
        el("span", { class: "state" }, STATES[t.state]),
      ),
    );
  }
  bodyOf("freshness").replaceChildren(list);
  const of = (state) => tables.filter((t) => t.state === state);
  const kept = of("fresh").length;
  const parts = ["due", "late", "never"]
    .map((state) => [state, of(state).length])
    .filter(([, n]) => n)
    .map(([state, n]) => (state === "never" ? `${n} not read yet` : `${n} ${state}`));
  card("card-fresh", [count(kept), el("small", {}, ` of ${tables.length}`)], parts.join(", ") || "all of them");
  const late = of("late");
  const never = of("never");
  const due = of("due");
  const words = [
    late.length && `${late.map((t) => t.table).join(", ")} ${late.length === 1 ? "is" : "are"} older than promised.`,
    due.length && `${counted(due.length, "table")} ${due.length === 1 ? "is" : "are"} due: a run should renew them any minute.`,
    never.length === tables.length && "No table has been read yet: unpause intra42_nightly, and wait for its first run.",
    never.length && never.length < tables.length && `Not read yet: ${never.map((t) => t.table).join(", ")}.`,
  ].filter(Boolean);
  get("summary").textContent = words.join(" ") || "Every table is as fresh as promised.";
}

function drawQuota(q) {
  const meter = get("card-quota").querySelector(".meter");
  const share = q.per_hour ? q.used / q.per_hour : 0;
  meter.hidden = !q.per_hour;
  meter.firstElementChild.style.width = `${Math.min(share, 1) * 100}%`;
  meter.classList.toggle("high", share > 0.8);
  let note = q.per_hour
    ? `${Math.round(share * 100)} % of the hour's quota`
    : "the API has not announced its limit: that of the connection holds";
  if (!q.asked_before) note = "no request has been sent yet";
  if (q.paused_until) note = `the API asked for silence until ${atTime(q.paused_until)}`;
  card("card-quota", [count(q.used), el("small", {}, q.per_hour ? ` of ${count(q.per_hour)}` : "")], note);
  const body = bodyOf("minutes");
  if (!q.used) {
    forget(body);
    return sentence(body, "No request in the last hour.");
  }
  bars(body, {
    labels: q.minutes.map((m) => atTime(m.begins_at)),
    ticks: 5,
    head: "Minute",
    what: `Requests of each minute of the last hour, ${count(q.used)} in all`,
    series: [
      { name: "nightly", values: q.minutes.map((m) => m.nightly), colour: "nightly" },
      { name: "others", values: q.minutes.map((m) => m.others), colour: "incremental" },
    ],
  });
}

function label(moment) {
  return span === "day" ? atTime(moment) : onDay(moment);
}

function interval(moment) {
  return span === "month" ? onDay(moment) : atMoment(moment);
}

function drawRequests(activity, q) {
  const intervals = activity.intervals;
  const body = bodyOf("requests");
  const [per, period] = PERIODS[span];
  const all = ["nightly", "incremental", "others"].map((name) => ({
    name: name === "others" ? "your own DAGs" : name,
    colour: name,
    values: intervals.map((i) => i[name]),
  }));
  const series = all.filter((s, i) => i < 2 || s.values.some(Boolean));
  const sums = totals(series);
  const sum = sums.reduce((a, b) => a + b, 0);
  const refused = intervals.reduce((n, i) => n + i.refused, 0);
  if (!sum) {
    forget(body);
    hint("requests", `per ${per}`);
    return sentence(body, `No request in ${period}.`);
  }
  const most = Math.max(...sums);
  const allowed = q?.per_hour ? { day: q.per_hour / 4, week: q.per_hour, month: 24 * q.per_hour }[span] : null;
  const line = allowed && most > allowed / 3 ? { name: `quota per ${per}`, value: allowed } : null;
  const max = line ? null : cap(sums);
  hint(
    "requests",
    `${counted(sum, "request")} in ${period}; most in a ${per}: ${count(most)}` +
      (allowed ? `, ${Math.round((most / allowed) * 100)} % of the quota` : "") +
      (refused ? `; ${count(refused)} refused with 429` : "") +
      (max ? "; the tallest bar is cut" : ""),
  );
  bars(body, {
    labels: intervals.map((i) => label(i.begins_at)),
    titles: (i) => interval(intervals[i].begins_at),
    head: `From (${per})`,
    what: `Requests per ${per} in ${period}, ${count(sum)} in all`,
    series,
    line,
    max,
  });
}

const WRITTEN = ["inserted", "updated", "deleted"];

function drawRows(items, per, period, titles) {
  const body = bodyOf("rows");
  const series = WRITTEN.map((name) => ({ name, colour: name, values: items.map((i) => i[name]) }));
  const sums = items.length ? totals(series) : [];
  const sum = sums.reduce((a, b) => a + b, 0);
  if (!sum) {
    forget(body);
    hint("rows", `per ${per}`);
    return sentence(body, items.length ? `No row changed in ${period}.` : "No run yet.");
  }
  const max = cap(sums);
  const each = series.map((s) => `${count(s.values.reduce((a, b) => a + b, 0))} ${s.name}`);
  hint("rows", `${each.join(", ")}, per ${per}${max ? "; the tallest bar is cut" : ""}`);
  bars(body, {
    labels: items.map((i) => label(i.begins_at)),
    titles,
    head: per === "run" ? "Run" : `From (${per})`,
    what: `Rows written per ${per} in ${period}`,
    series,
    max,
  });
}

const nameOf = (dagId) => dagId.replace("intra42_", "");

function drawRowsOfRuns({ runs }) {
  const since = Date.now() - 86_400_000;
  const items = runs
    .filter((r) => new Date(r.opened_at) > since)
    .map((r) => ({ ...r, begins_at: r.opened_at }))
    .reverse();
  drawRows(items, "run", "the last 24 hours", (i) => `${nameOf(items[i].dag_id)}, ${atMoment(items[i].opened_at)}`);
}

function drawRowsOfTime(activity) {
  const [per, period] = PERIODS[span];
  drawRows(activity.intervals, per, period, (i) => interval(activity.intervals[i].begins_at));
}

function edge(seconds) {
  return seconds % 86_400 === 0 && seconds ? `${seconds / 86_400} d` : duration(seconds);
}

function drawLevels(found) {
  const body = bodyOf("levels");
  if (!found.levels) {
    forget(body);
    card("card-levels", "None", `in the last ${found.days} days`);
    return sentence(body, `No level was recomputed silently in the last ${found.days} days.`);
  }
  card(
    "card-levels",
    [duration(found.median_s), el("small", {}, " at most, half of them")],
    `${counted(found.levels, "level")} in ${found.days} days; nine of ten within ${duration(found.most_s)}`,
  );
  const classes = found.edges_s.map((_, i) => {
    const to = found.edges_s[i + 1];
    return to ? `<${edge(to).replace(" min", "m").replace(" ", "")}` : "more";
  });
  bars(body, {
    labels: classes,
    ticks: 8,
    everyTick: true,
    titles: (i) => {
      const [from, to] = [found.edges_s[i], found.edges_s[i + 1]];
      return to ? `Unseen for ${edge(from)} to ${edge(to)}` : `Unseen for more than ${edge(from)}`;
    },
    head: "Unseen",
    what: `Levels recomputed silently, ${count(found.levels)} in all, by how long the change stayed unseen`,
    series: found.found_by.map(({ way, levels }) => ({
      name: WAYS[way]?.[0] ?? way,
      colour: WAYS[way]?.[1] ?? "others",
      values: levels,
    })),
  });
}

function drawAudit({ tables }) {
  const body = bodyOf("audit");
  const users = tables[0]?.users ?? 0;
  if (!users || tables.every((t) => t.never === t.users)) {
    forget(body);
    return sentence(body, users ? "No user has been counted yet: the nightly run does it." : "No user is mirrored yet.");
  }
  const share = (name) => tables.map((t) => (100 * t[name]) / t.users);
  bars(body, {
    horizontal: true,
    share: true,
    max: 100,
    ticks: 20,
    labels: tables.map((t) => t.name),
    titles: (i) => `${tables[i].name}: ${counted(tables[i].users, "user")}`,
    head: "Table",
    what: `Share of ${count(users)} users whose rows were counted, by table and age of the count`,
    series: [
      { name: "a day", values: share("within_a_day"), colour: "good" },
      { name: "a week", values: share("within_a_week"), colour: "week" },
      { name: "longer", values: share("longer_ago"), colour: "long" },
      { name: "never", values: share("never"), colour: "none" },
    ],
  });
}

function number(of) {
  return (row) => el("span", { class: of(row) ? null : "zero" }, count(of(row)));
}

const runLink = (dagId, runId) =>
  airflowLink(`dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}`, runId, "Open the run");

function stateOf(run) {
  if (run.running_attempts) return ["running", "under way"];
  if (run.failed_attempts) return ["failed", counted(run.failed_attempts, "failed attempt")];
  return ["success", "no failed attempt"];
}

function drawRuns({ runs }) {
  const body = bodyOf("runs");
  if (!runs.length) return sentence(body, "No run yet.");
  body.replaceChildren(
    table(
      "The last runs, newest first",
      [
        { head: "Began", cell: (r) => atMoment(r.opened_at) },
        { head: "DAG", cell: (r) => nameOf(r.dag_id) },
        { head: "Run", cell: (r) => runLink(r.dag_id, r.run_id), wide: true },
        {
          head: "Attempts",
          cell: (r) => {
            const [kind, words] = stateOf(r);
            return el("span", { class: `state ${kind}` }, words);
          },
        },
        {
          head: "Took",
          number: true,
          cell: (r) =>
            r.finished_at && !r.running_attempts
              ? duration((new Date(r.finished_at) - new Date(r.opened_at)) / 1000)
              : "",
        },
        ...["requests", ...WRITTEN, "parked"].map((name) => ({
          head: name[0].toUpperCase() + name.slice(1),
          number: true,
          cell: number((r) => r[name]),
        })),
      ],
      runs.slice(0, 20),
    ),
  );
}

function reasonAndRun(row) {
  return el("span", {}, row.reason, el("span", { class: "second" }, row.run_id));
}

function drawParked({ total, records }) {
  const body = bodyOf("parked");
  if (!total) return sentence(body, "Nothing is parked.");
  hint("parked", `${counted(total, "record")} could not be stored${total > records.length ? `; the last ${records.length}` : ""}. Later runs try them again.`);
  body.replaceChildren(
    table(
      "Parked records, newest first",
      [
        { head: "Table", cell: (r) => el("code", {}, r.resource) },
        { head: "Id", number: true, cell: (r) => (r.id === null ? "none" : `${r.id}`) },
        { head: "Reason, and the run", cell: reasonAndRun, wide: true },
        { head: "Tried", number: true, cell: (r) => count(r.attempts) },
        { head: "Since", cell: (r) => atMoment(r.first_seen_at) },
      ],
      records,
    ),
  );
}

function drawTombstones({ days, total, restored, tombstones }) {
  const body = bodyOf("tombstones");
  if (!tombstones.length) return sentence(body, "Nothing was ever deleted.");
  hint(
    "tombstones",
    `${counted(total, "row")} deleted in ${days} days${restored ? `, ${count(restored)} of them restored` : ""}. They are kept whole in the table.`,
  );
  body.replaceChildren(
    table(
      "Tombstones, newest first",
      [
        { head: "Table", cell: (t) => el("code", {}, t.resource) },
        { head: "Id", number: true, cell: (t) => `${t.id}` },
        { head: "Reason, and the run", cell: reasonAndRun, wide: true },
        {
          head: "Deleted",
          cell: (t) =>
            el(
              "span",
              {},
              atMoment(t.deleted_at),
              t.restored_at && el("span", { class: "second" }, `back ${atMoment(t.restored_at)}`),
            ),
        },
      ],
      tombstones,
    ),
  );
}

function drawSchedule({ dags }) {
  const list = get("card-next").querySelector("dl");
  const lines = dags.flatMap((d) => {
    let next = "not parsed yet";
    if (d.paused) next = "paused";
    else if (d.next_run_at) next = el("span", {}, el("b", {}, atTime(d.next_run_at)), ` ${fromNow(d.next_run_at)}`);
    else if (d.parsed) next = "a run is under way";
    const last = d.last_run
      ? el("span", { class: `state ${d.last_run.state}`, title: d.last_run.run_id }, `last run: ${d.last_run.state}`)
      : "no run yet";
    return [el("dt", {}, nameOf(d.dag_id)), el("dd", {}, next), el("dt"), el("dd", { class: "muted" }, last)];
  });
  list.replaceChildren(...lines);
}

async function fetchAll() {
  const ours = DAG ?? undefined;
  const names = {
    freshness: ["freshness"],
    quota: ["quota"],
    activity: ["activity", { span, dag_id: ours }],
    runs: ["runs", { limit: 110, dag_id: ours }],
    levels: ["levels"],
    audit: ["audit"],
    parked: ["parked"],
    tombstones: ["tombstones"],
    schedule: ["schedule"],
  };
  const keys = Object.keys(names);
  const settled = await Promise.allSettled(keys.map((key) => figure(...names[key])));
  return Object.fromEntries(keys.map((key, i) => [key, settled[i]]));
}

function banner(text, calm = false) {
  const shown = get("banner");
  shown.hidden = !text;
  shown.textContent = text;
  shown.classList.toggle("calm", calm);
  get("panels").hidden = Boolean(text);
}

/** Draw one figure, or say in its place why there is none. */
function place(ids, result, draw, cardId) {
  if (result.status === "fulfilled") return draw(result.value);
  if (!(result.reason instanceof Problem)) throw result.reason;
  for (const id of ids) {
    forget(bodyOf(id));
    sentence(bodyOf(id), result.reason.message);
  }
  if (cardId) card(cardId, "Not known", "", true);
}

function commonProblem(results) {
  const warehouse = Object.entries(results).filter(([key]) => key !== "schedule").map(([, result]) => result);
  const [first] = warehouse;
  const same = warehouse.every((r) => r.status === "rejected" && r.reason.problem === first.reason?.problem);
  return same ? first.reason : null;
}

let loading = false;
let again = false;

async function load() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  const shownSpan = span;
  try {
    const results = await fetchAll();
    const problem = commonProblem(results);
    get("asked").textContent = `As of ${atTime(Date.now())}, ${timeZone}`;
    if (problem) {
      get("summary").textContent = "";
      banner(problem.message, problem.problem === "no_schema");
      return;
    }
    banner("");
    if (shownSpan !== span) return;
    const q = results.quota.value;
    place(["freshness"], results.freshness, drawFreshness, "card-fresh");
    place(["minutes"], results.quota, drawQuota, "card-quota");
    place(["requests"], results.activity, (found) => drawRequests(found, q));
    if (span === "day") place(["rows"], results.runs, drawRowsOfRuns);
    else place(["rows"], results.activity, drawRowsOfTime);
    place(["levels"], results.levels, drawLevels, "card-levels");
    place(["audit"], results.audit, drawAudit);
    place(["runs"], results.runs, drawRuns);
    place(["parked"], results.parked, drawParked);
    place(["tombstones"], results.tombstones, drawTombstones);
    if (results.schedule.status === "fulfilled") drawSchedule(results.schedule.value);
  } finally {
    loading = false;
    document.body.dataset.loaded = "true";
    if (again) {
      again = false;
      load();
    }
  }
}

function choose(chosen) {
  span = chosen;
  for (const button of document.querySelectorAll("[data-span]")) {
    button.setAttribute("aria-pressed", String(button.dataset.span === span));
  }
  load();
}

function start() {
  followTheme(redraw);
  if (DAG && !OURS.includes(DAG)) {
    get("summary").textContent = "";
    get("refresh").hidden = true;
    document.body.dataset.loaded = "true";
    return banner(`The DAG ${DAG} is not one of intra42's. This tab is about ${OURS.join(" and ")}.`, true);
  }
  for (const button of document.querySelectorAll("[data-span]")) {
    button.addEventListener("click", () => choose(button.dataset.span));
  }
  get("refresh").addEventListener("click", load);
  setInterval(() => document.hidden || load(), REFRESH_MS);
  document.addEventListener("visibilitychange", () => document.hidden || load());
  load();
}

start();
