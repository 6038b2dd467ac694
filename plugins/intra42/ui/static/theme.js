// Light or dark, as Airflow is: it puts a class on the html element of the page that frames us.

const system = matchMedia("(prefers-color-scheme: dark)");

function airflow() {
  try {
    return parent === window ? null : parent.document.documentElement;
  } catch {
    return null;
  }
}

function current() {
  const classes = airflow()?.classList;
  if (classes?.contains("dark")) return "dark";
  if (classes?.contains("light")) return "light";
  return system.matches ? "dark" : "light";
}

function background() {
  // The colour that shows around the frame: with ours there would be an edge.
  try {
    for (let around = frameElement; around; around = around.parentElement) {
      const found = getComputedStyle(around).backgroundColor;
      if (found && found !== "transparent" && !/^rgba\(.*, 0\)$/.test(found)) return found;
    }
  } catch {
    // Framed by a stranger.
  }
  return "";
}

function apply() {
  const root = document.documentElement;
  root.dataset.theme = current();
  root.style.setProperty("--page", background() || null);
}

/** Follow the theme, and call `changed` after each change of it. */
export function followTheme(changed) {
  apply();
  const again = () => {
    const before = document.documentElement.dataset.theme;
    apply();
    if (document.documentElement.dataset.theme !== before) changed();
  };
  system.addEventListener("change", again);
  const root = airflow();
  if (root) new MutationObserver(again).observe(root, { attributeFilter: ["class", "style"] });
}

const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);

/** Return a colour of page.css as the canvas understands it, mixtures computed. */
export function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}
