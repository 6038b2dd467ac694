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

/** A link into Airflow, which frames us and must be led there itself. */
export function airflowLink(path, text, title) {
  const base = parent === window ? new URL("../", location.href) : parent.document.baseURI;
  const href = new URL(path, base).href;
  const go = (event) => {
    if (parent === window || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    const theirs = parent.document.createElement("a");
    theirs.href = href;
    theirs.click();
  };
  return el("a", { href, title, onclick: go }, text);
}
