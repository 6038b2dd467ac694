// Before the first paint, so that a dark Airflow never flashes white. The rest is in theme.js.
(function () {
  let dark = matchMedia("(prefers-color-scheme: dark)").matches;
  try {
    const theirs = parent.document.documentElement.classList;
    if (parent !== window && (theirs.contains("dark") || theirs.contains("light"))) {
      dark = theirs.contains("dark");
    }
  } catch {
    // Framed by a stranger: the system's wish holds.
  }
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
