// The figures, and a sentence where there are none.

/** What stands in the way of a figure; `problem` is a short word, the message a sentence. */
export class Problem extends Error {
  constructor(message, problem) {
    super(message);
    this.problem = problem;
  }
}

const SENTENCES = {
  401: "Your login has ended. Reload Airflow to log in again.",
  403: "These figures are for those who may read both DAGs, intra42_nightly and intra42_incremental.",
};

// A browser opens six connections to a server: the others are for Airflow's own pages.
const AT_ONCE = 3;
const PATIENCE_MS = 30_000;
const waiting = [];
let underWay = 0;

async function turn() {
  if (underWay >= AT_ONCE) await new Promise((go) => waiting.push(go));
  else underWay += 1;
}

function next() {
  const go = waiting.shift();
  if (go) go();
  else underWay -= 1;
}

/** Fetch one figure, when it is its turn. */
export async function figure(name, parameters = {}) {
  await turn();
  try {
    return await fetched(name, parameters);
  } finally {
    next();
  }
}

async function fetched(name, parameters) {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined),
  );
  let answer;
  try {
    answer = await fetch(`api/${name}?${query}`, {
      credentials: "same-origin",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    throw new Problem("Airflow does not answer. The page tries again in a minute.", "offline");
  }
  if (answer.ok) return answer.json();
  if (SENTENCES[answer.status]) throw new Problem(SENTENCES[answer.status], `${answer.status}`);
  const body = await answer.json().catch(() => ({}));
  throw new Problem(
    body.sentence ?? `Airflow answered with status ${answer.status}. Its log says why.`,
    body.problem ?? `${answer.status}`,
  );
}
