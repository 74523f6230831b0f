// Weeks side by side, each as high as what was found in it, parted by severity. A table for those who listen has the same.
import { t, word } from "../text";

export interface Week {
  week: string;
  findings: number;
  severities?: Record<string, number>;
}

const [WIDTH, HEIGHT] = [520, 80];
/** From below; what has no severity is drawn in one colour. */
const SEVERITIES = ["critical", "high", "medium", "low"] as const;

/** `label` stands above it, unless the heading around it says the same. */
export function Weeks({ of, label, isHeaded = false }: { of: Week[]; label: string; isHeaded?: boolean }) {
  const most = Math.max(1, ...of.map((week) => week.findings));
  const step = WIDTH / Math.max(26, of.length);
  return (
    <figure class="weeks">
      <figcaption class={isHeaded ? "sr" : ""}>{label}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label} preserveAspectRatio="none">
        {of.map((week, at) => {
          let top = HEIGHT;
          return (
            <g key={week.week}>
              <title>{said(week)}</title>
              {parts(week).map(([kind, findings]) => {
                const height = (findings / most) * HEIGHT;
                top -= height;
                return <rect key={kind} class={kind} x={at * step} width={step - 2} y={top} height={height} />;
              })}
            </g>
          );
        })}
      </svg>
      <div class="sr">
        <table>
          <tbody>
            {of.map((week) => (
              <tr key={week.week}>
                <th scope="row">{week.week}</th>
                <td>{said(week)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="weeks-ends">
        <span>{of[0]?.week}</span>
        {of.length > 1 && <span>{of[of.length - 1]?.week}</span>}
      </div>
    </figure>
  );
}

function parts({ findings, severities }: Week): [string, number][] {
  if (!severities) return [["part-executed", findings]];
  return SEVERITIES.filter((name) => severities[name]).map((name) => [`part-${name}`, severities[name]!]);
}

function said({ week, findings, severities }: Week): string {
  const each = SEVERITIES.filter((name) => severities?.[name]).map(
    (name) => `${word(t().severity, name)} ${severities![name]}`,
  );
  return [week, findings, ...each].join(" · ");
}
