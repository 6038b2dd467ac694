// The few ways in which this page makes elements. Text is always text, never markup.

/** Make an element: `el("td", { class: "number" }, "12")`. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Show one calm sentence where a figure would be. */
export function sentence(body, text) {
  body.replaceChildren(el("p", { class: "empty" }, text));
}

/** Make a table; a column is `{ head, cell(row), number, wide }`. */
export function table(caption, columns, rows) {
  const kind = (column) => [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ") || null;
  return el(
    "table",
    {},
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, ...columns.map((c) => el("th", { scope: "col", class: kind(c) }, c.head)))),
    el(
      "tbody",
      {},
      ...rows.map((row) => el("tr", {}, ...columns.map((c) => el("td", { class: kind(c) }, c.cell(row) ?? "")))),
    ),
  );
}

function addressOf(path) {
  const base = parent === window ? new URL("../", location.href) : parent.document.baseURI;
  return new URL(path, base).href;
}

/** Go to a place in Airflow, which frames us and must be led there itself. */
export function goTo(path) {
  if (parent === window) {
    location.href = addressOf(path);
    return;
  }
  const theirs = parent.document.createElement("a");
  theirs.href = addressOf(path);
  theirs.click();
}

/** A link into Airflow. */
export function airflowLink(path, text, title) {
  const go = (event) => {
    if (parent === window || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    goTo(path);
  };
  return el("a", { href: addressOf(path), title, onclick: go }, text);
}

const part = encodeURIComponent;

/** Where Airflow shows a DAG, a run of it, or the log of a task of that run. */
export function placeOf(dagId, runId, task) {
  const run = runId ? `/runs/${part(runId)}` : "";
  const log = task ? `/tasks/${part(task.task_id)}${task.map_index >= 0 ? `/mapped/${task.map_index}` : ""}` : "";
  return `dags/${part(dagId)}${run}${log}`;
}
