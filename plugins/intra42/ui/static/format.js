// Numbers, times and durations as a person reads them.

function zone() {
  // The time zone chosen in Airflow's own menu.
  try {
    const chosen = JSON.parse(localStorage.getItem("timezone") ?? "null");
    new Intl.DateTimeFormat("en-GB", { timeZone: chosen });
    return chosen || "UTC";
  } catch {
    return "UTC";
  }
}

export const timeZone = zone();

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone });
const whole = new Intl.NumberFormat("en-GB");

export const count = (number) => whole.format(number);
export const atTime = (moment) => clock.format(new Date(moment));
export const onDay = (moment) => day.format(new Date(moment));
export const atMoment = (moment) => `${onDay(moment)}, ${atTime(moment)}`;

/** Say "1 row", "12 rows". */
export function counted(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** Say a share of 1, so that a small one is not nothing. */
export function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "less than 0.1 %";
  return value > 0 && value < 10 ? `${value.toFixed(1).replace(".0", "")} %` : `${count(Math.round(value))} %`;
}

/** Say a duration in seconds with its two largest units at the most. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 10 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** Say when a moment is or was, seen from now. */
export function fromNow(moment) {
  const seconds = (new Date(moment) - Date.now()) / 1000;
  if (Math.abs(seconds) < 30) return "now";
  return seconds > 0 ? `in ${duration(seconds)}` : `${duration(-seconds)} ago`;
}
