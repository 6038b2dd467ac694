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

/** Fetch one figure. */
export async function figure(name, parameters = {}) {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined),
  );
  let answer;
  try {
    answer = await fetch(`api/${name}?${query}`, { credentials: "same-origin" });
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
