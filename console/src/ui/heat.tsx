// Seven days by twenty-four hours, the darker the more. Every cell says its number to those who ask for it.
import { count } from "../format/money";

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
/** Shades that can be told apart. */
const SHADES = 5;

/** How dark a cell is: by the square root, so that a few are still seen beside many. */
const shade = (n: number, most: number): number => (n === 0 ? 0 : Math.max(1, Math.ceil(Math.sqrt(n / most) * SHADES)));

export function Heat({ label, days, rows, unit }: { label: string; days: string[]; rows: number[][]; unit: string }) {
  const most = Math.max(1, ...rows.flat());
  return (
    <div class="heat-place" tabIndex={0} role="group" aria-label={label}>
      <table class="heat">
        <caption class="sr">{label}</caption>
        <thead>
          <tr>
            <td />
            {HOURS.map((hour) => (
              <th key={hour} scope="col">
                <span class={hour % 3 === 0 ? "" : "sr"}>{hour}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((hours, day) => (
            <tr key={day}>
              <th scope="row">{days[day]}</th>
              {HOURS.map((hour) => (
                <td
                  key={hour}
                  class={`shade-${shade(hours[hour] ?? 0, most)}`}
                  title={`${days[day]} ${hour}:00 · ${count(hours[hour] ?? 0)} ${unit}`}
                >
                  <span class="sr">{hours[hour] ?? 0}</span>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
