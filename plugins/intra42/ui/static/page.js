// The page: fetches the figures, draws them, and fetches them again each minute.

import { figure, Problem } from "./api.js";
import { bars, cap, cutBars, forget, redraw, totals } from "./charts.js";
import { airflowLink, el, goTo, placeOf, sentence, table } from "./dom.js";
import { atMoment, atTime, count, counted, duration, fromNow, onDay, percent, timeZone } from "./format.js";
import { followTheme } from "./theme.js";

const REFRESH_MS = 60_000;
const OURS = document.body.dataset.dags.split(" ");
const DAG = new URLSearchParams(location.search).get("dag");

const STATES = { fresh: "fresh", due: "due", late: "late", never: "never", refused: "refused" };
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

function rowsOf(size) {
  if (!size) return "";
  return `${size.exact ? "" : "about "}${count(size.rows)}`;
}

function drawFreshness({ tables, rows, sizes }) {
  const list = el("ul", { class: "ages", "aria-label": "Rows and age of every table, and its promise" });
  const sizeOf = new Map(sizes.map((size) => [size.table, size]));
  for (const t of tables) {
    const fill = el("i");
    // Two thirds of the bar are the promise: what is late by half as much again fills it.
    fill.style.width = t.age_s === null ? "0" : `${Math.min(t.age_s / t.promise_s / 1.5, 1) * 100}%`;
    const age = t.age_s === null ? "not read yet" : `${duration(t.age_s)} of ${duration(t.promise_s)}`;
    const name = el("code", {}, t.table);
    const read = t.read_at && `Read up to ${atMoment(t.read_at)}: open the run`;
    list.append(
      el(
        "li",
        { class: t.state },
        t.run_id ? airflowLink(placeOf(t.dag_id, t.run_id), name, read) : name,
        el("span", { class: "rows" }, rowsOf(sizeOf.get(t.table))),
        el("span", { class: "bar", "aria-hidden": "true" }, fill),
        el("span", { class: "age" }, age),
        el("span", { class: "state", title: t.said || "" }, STATES[t.state]),
      ),
    );
  }
  bodyOf("freshness").replaceChildren(list);
  const of = (state) => tables.filter((t) => t.state === state).length;
  const parts = ["due", "late", "never", "refused"]
    .map((state) => [state, of(state)])
    .filter(([, n]) => n)
    .map(([state, n]) => (state === "never" ? `${n} not read yet` : `${n} ${state}`));
  card("card-fresh", [count(of("fresh")), el("small", {}, ` of ${tables.length}`)], parts.join(", ") || "all of them");
  const largest = sizes.reduce((a, b) => (b.rows > a.rows ? b : a), sizes[0]);
  const about = sizes.every((size) => size.exact) ? "" : "about ";
  card(
    "card-rows",
    [about && el("small", {}, about), count(rows)],
    rows ? `in ${counted(sizes.length, "table")}; most in ${largest.table}: ${count(largest.rows)}` : "no table has a row yet",
  );
}

/** Say what keeps the tables from being as fresh as promised; nothing where all are. */
function wordsOnTables({ tables }) {
  const of = (state) => tables.filter((t) => t.state === state).map((t) => t.table);
  const [late, due, never] = [of("late"), of("due"), of("never")];
  const told = [];
  if (late.length) told.push(["bad", `${late.join(", ")} ${late.length === 1 ? "is" : "are"} older than promised.`]);
  if (never.length === tables.length) {
    told.push(["warn", "No table has been read yet: unpause intra42_nightly, and wait for its first run."]);
  } else if (never.length) {
    told.push(["warn", `Not read yet: ${never.join(", ")}.`]);
  }
  for (const said of new Set(tables.map((t) => t.said).filter(Boolean))) told.push(["due", `${said}.`]);
  if (due.length) told.push(["due", `${counted(due.length, "table")} ${due.length === 1 ? "is" : "are"} due: a run should renew ${due.length === 1 ? "it" : "them"} any minute.`]);
  return told.map(([level, words]) => ({ level, words: [words] }));
}

function wordsOnRuns({ troubles }) {
  const places = (t) =>
    el(
      "span",
      { class: "places" },
      t.task && airflowLink(placeOf(t.dag_id, t.run_id, t.task), "Its log"),
      t.task && " · ",
      airflowLink(placeOf(t.dag_id, t.run_id), t.run_id ? "The run" : "The DAG"),
    );
  return troubles.map((t) => ({ level: t.level, words: [`${t.sentence} `, places(t)] }));
}

const RANK = ["bad", "warn", "due"];

/** The headline: green only where both Airflow and the warehouse say that all is well. */
function drawSummary({ schedule, freshness }) {
  const told = [];
  const add = (result, words, unknown) => {
    if (!result) return;
    if (result.status === "fulfilled") told.push(...words(result.value));
    else told.push({ level: "warn", words: [unknown] });
  };
  add(schedule, wordsOnRuns, "How the last runs ended is not known: Airflow does not say.");
  add(freshness, wordsOnTables, "How fresh the tables are is not known.");
  told.sort((a, b) => RANK.indexOf(a.level) - RANK.indexOf(b.level));
  if (!told.length && !(schedule && freshness)) return;
  const shown = told.length ? told : [{ level: "good", words: ["Every table is as fresh as promised."] }];
  get("summary").replaceChildren(
    ...shown.map(({ level, words }) => el("p", { class: `verdict ${level}` }, el("span", {}, ...words.filter(Boolean)))),
  );
}

function drawQuota(q) {
  const meter = get("card-quota").querySelector(".meter");
  const share = q.per_hour ? q.used / q.per_hour : 0;
  meter.hidden = !q.per_hour;
  // What is more than nothing can be seen.
  meter.firstElementChild.style.width = q.used ? `max(3px, ${Math.min(share, 1) * 100}%)` : "0";
  meter.classList.toggle("high", share > 0.8);
  let note = q.per_hour
    ? `${percent(share)} of the hour's quota`
    : "the API has not announced its limit: that of the connection holds";
  if (!q.asked_before) note = "no request has been sent yet";
  if (q.paused_until) note = `the API asked for silence until ${atTime(q.paused_until)}`;
  card("card-quota", [count(q.used), q.per_hour ? el("small", {}, ` of ${count(q.per_hour)}`) : ""], note);
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
  const max = cap(sums);
  const line = allowed && !max && most > allowed / 3 ? { name: `quota per ${per}`, value: allowed } : null;
  hint(
    "requests",
    `${counted(sum, "request")} in ${period}; most in a ${per}: ${count(most)}` +
      (allowed ? `, ${percent(most / allowed)} of the quota` : "") +
      (refused ? `; ${count(refused)} refused with 429` : "") +
      cutBars(sums, max),
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

function drawRows(items, per, period, titles, places) {
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
  hint("rows", `${each.join(", ")}, per ${per}${cutBars(sums, max)}`);
  bars(body, {
    labels: items.map((i) => label(i.begins_at)),
    titles,
    head: per === "run" ? "Run" : `From (${per})`,
    what: `Rows written per ${per} in ${period}`,
    series,
    max,
    open: places && ((i) => goTo(places[i])),
    link: places && ((i) => airflowLink(places[i], titles(i), "Open the run")),
  });
}

const nameOf = (dagId) => dagId.replace("intra42_", "");

function drawRowsOfRuns({ runs }) {
  const since = Date.now() - 86_400_000;
  const items = runs
    .filter((r) => new Date(r.opened_at) > since)
    .map((r) => ({ ...r, begins_at: r.opened_at }))
    .reverse();
  drawRows(
    items,
    "run",
    "the last 24 hours",
    (i) => `${nameOf(items[i].dag_id)}, ${atMoment(items[i].opened_at)}`,
    items.map((run) => placeOf(run.dag_id, run.run_id)),
  );
}

function drawRowsOfTime(activity) {
  const [per, period] = PERIODS[span];
  drawRows(activity.intervals, per, period, (i) => interval(activity.intervals[i].begins_at));
}

function edge(seconds) {
  if (seconds < 7200) return `${seconds / 60} min`;
  return `${seconds / 3600} h`;
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
    [duration(found.median_s), el("small", {}, " at most")],
    `half of ${counted(found.levels, "level")} in ${found.days} days; nine of ten within ${duration(found.most_s)}`,
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
      return to ? `Unseen for ${from ? `${edge(from)} to ` : "less than "}${edge(to)}` : `Unseen for more than ${edge(from)}`;
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
  return (row) => {
    const n = of(row);
    return n === undefined ? "" : el("span", { class: n ? null : "zero" }, count(n));
  };
}

const runLink = (dagId, runId) => airflowLink(placeOf(dagId, runId), runId, "Open the run");

function stateOf(run) {
  if (run.state === "running" && run.failed_tasks) return ["failed", "running, a task failed"];
  if (run.state === "running" && run.retrying.length) return ["running", "running, to be tried again"];
  return [run.state, run.state];
}

function tasksOf(run) {
  const tasks = [...run.failed, ...run.retrying];
  const nameOfTask = (t) => (t.map_index >= 0 ? `${t.task_id} [${t.map_index}]` : t.task_id);
  const links = tasks.map((t) => airflowLink(placeOf(run.dag_id, run.run_id, t), nameOfTask(t), "Open its log"));
  const more = run.failed_tasks - run.failed.length;
  return links.length && el("span", { class: "second tasks" }, ...links, more > 0 ? `and ${count(more)} more` : "");
}

function stateCell(run) {
  const [kind, words] = stateOf(run);
  const attempts = run.sums?.failed_attempts ?? 0;
  const after = attempts ? counted(attempts, "failed attempt") : "no failed attempt";
  const second = tasksOf(run) || (run.state === "success" && run.sums && el("span", { class: "second" }, after));
  return el("span", {}, el("span", { class: `state ${kind}` }, words), second || "");
}

function took(run) {
  if (!run.started_at || !run.finished_at) return "";
  return duration((new Date(run.finished_at) - new Date(run.started_at)) / 1000);
}

function drawRuns({ runs }, sums) {
  const body = bodyOf("runs");
  const away = sums?.status === "rejected";
  hint("runs", away ? "As Airflow has them. What they wrote is not known: the warehouse does not answer." : "As Airflow has them, with what each wrote into the warehouse.");
  if (!runs.length) return sentence(body, "No run yet.");
  const key = (run) => `${run.dag_id} ${run.run_id}`;
  const known = new Map((sums?.value?.runs ?? []).map((run) => [key(run), run]));
  const columns = [
    { head: "Began", cell: (r) => atMoment(r.started_at ?? r.made_at) },
    { head: "DAG", cell: (r) => airflowLink(placeOf(r.dag_id), nameOf(r.dag_id), "Open the DAG") },
    {
      head: "Run, and what it says",
      cell: (r) => el("span", {}, runLink(r.dag_id, r.run_id), el("span", { class: "second" }, r.note)),
      wide: true,
    },
    { head: "State", cell: stateCell },
    { head: "Took", number: true, cell: took },
    ...["requests", ...WRITTEN, "parked"].map((name) => ({
      head: name[0].toUpperCase() + name.slice(1),
      number: true,
      cell: number((r) => r.sums?.[name]),
    })),
  ];
  body.replaceChildren(
    table("The last runs, newest first", columns, runs.map((run) => ({ ...run, sums: known.get(key(run)) }))),
  );
}

function reasonAndRun(row) {
  const run = row.dag_id ? runLink(row.dag_id, row.run_id) : row.run_id;
  return el("span", {}, row.reason, el("span", { class: "second" }, run));
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

function nextOf(dag) {
  if (!dag.parsed) return "not parsed yet";
  if (dag.paused) return "paused";
  if (["running", "queued"].includes(dag.last_run?.state)) return "a run is under way";
  if (!dag.next_run_at) return "no run is planned";
  const due = new Date(dag.next_run_at) < Date.now();
  return el("span", {}, el("b", {}, atTime(dag.next_run_at)), ` ${due ? "was due " : ""}${fromNow(dag.next_run_at)}`);
}

function lastOf(dag) {
  const run = dag.last_run;
  if (!run) return "no run yet";
  const [kind, words] = stateOf(run);
  const shown = el("span", { class: `state ${kind}` }, `last run: ${words}`);
  return airflowLink(placeOf(dag.dag_id, run.run_id), shown, `Open ${run.run_id}`);
}

function drawSchedule({ dags }) {
  const lines = dags.flatMap((d) => [
    el("dt", {}, airflowLink(placeOf(d.dag_id), nameOf(d.dag_id), "Open the DAG")),
    el("dd", {}, nextOf(d)),
    el("dt"),
    el("dd", {}, lastOf(d)),
  ]);
  get("card-next").querySelector("dl").replaceChildren(...lines);
}

/** Which figures there are, and with which parameters. */
function asked() {
  const ours = DAG ?? undefined;
  return {
    schedule: ["schedule", { dag_id: ours }],
    freshness: ["freshness"],
    quota: ["quota"],
    runs: ["runs", { limit: 110, dag_id: ours }],
    activity: ["activity", { span, dag_id: ours }],
    levels: ["levels"],
    audit: ["audit"],
    parked: ["parked"],
    tombstones: ["tombstones"],
  };
}

/** Draw one figure, or say in its place why there is none. */
function place(ids, result, draw, ...cards) {
  if (result.status === "fulfilled") return draw(result.value);
  if (!(result.reason instanceof Problem)) throw result.reason;
  for (const id of ids) {
    forget(bodyOf(id));
    sentence(bodyOf(id), result.reason.message);
  }
  for (const id of cards) card(id, "Not known", "", true);
}

const DRAWN = {
  schedule: (known) => {
    if (known.schedule.status === "fulfilled") drawSchedule(known.schedule.value);
    place(["runs"], known.schedule, (found) => drawRuns(found, known.runs));
  },
  freshness: (known) => place(["freshness"], known.freshness, drawFreshness, "card-fresh", "card-rows"),
  quota: (known) => place(["minutes"], known.quota, drawQuota, "card-quota"),
  activity: (known) => {
    place(["requests"], known.activity, (found) => drawRequests(found, known.quota?.value));
    if (span !== "day") place(["rows"], known.activity, drawRowsOfTime);
  },
  runs: (known) => {
    if (span === "day") place(["rows"], known.runs, drawRowsOfRuns);
    if (known.schedule) place(["runs"], known.schedule, (found) => drawRuns(found, known.runs));
  },
  levels: (known) => place(["levels"], known.levels, drawLevels, "card-levels"),
  audit: (known) => place(["audit"], known.audit, drawAudit),
  parked: (known) => place(["parked"], known.parked, drawParked),
  tombstones: (known) => place(["tombstones"], known.tombstones, drawTombstones),
};

/** Say one thing instead of many panels; what Airflow knows is shown in any case. */
function banner(text, calm = false, without = ".of-warehouse") {
  const shown = get("banner");
  shown.hidden = !text;
  shown.textContent = text;
  shown.classList.toggle("calm", calm);
  get("panels").hidden = Boolean(text) && without === "all";
  for (const each of document.querySelectorAll(".of-warehouse")) each.hidden = Boolean(text);
}

function commonProblem(known) {
  const results = Object.entries(known).filter(([name]) => name !== "schedule").map(([, result]) => result);
  const [first] = results;
  const same = results.every((r) => r.status === "rejected" && r.reason.problem === first.reason?.problem);
  return same ? first.reason : null;
}

let latest = {};
let loading = false;
let again = false;

async function load() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  const shownSpan = span;
  const known = {};
  const arrive = async ([name, request]) => {
    const [result] = await Promise.allSettled([figure(...request)]);
    known[name] = result;
    latest = { ...latest, [name]: result };
    if (shownSpan !== span) return;
    // Each figure is shown when it is there: none waits for a slower one.
    if (name === "schedule" && result.status === "fulfilled") get("panels").hidden = false;
    DRAWN[name](latest);
    drawSummary(latest);
  };
  try {
    await Promise.all(Object.entries(asked()).map(arrive));
    get("asked").textContent = `As of ${atTime(Date.now())}, ${timeZone}`;
    if (shownSpan !== span) return;
    const problem = commonProblem(known);
    const nothing = known.schedule.status === "rejected" ? "all" : undefined;
    banner(problem ? problem.message : "", problem?.problem === "no_schema", nothing);
    if (!problem) DRAWN.activity(latest);
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
    get("summary").replaceChildren();
    get("refresh").hidden = true;
    document.body.dataset.loaded = "true";
    return banner(`The DAG ${DAG} is not one of intra42's. This tab is about ${OURS.join(" and ")}.`, true, "all");
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
