// A budget as one bar: executed, reserved and frozen from the left, what is available as the rest; plan and calendar as marks.
import { cents, money, percent, share } from "../format/money";
import { settings } from "../settings";
import { t } from "../text";

/** The sums that a bar shows; text with two decimals. */
export interface Balances {
  total: string;
  executed: string;
  reserved: string;
  frozen: string;
  available: string;
  planned: string;
}

const WIDTH = 1000;
const KINDS = ["executed", "reserved", "frozen"] as const;

/** `calendar` is the elapsed share of the year. */
export function BudgetBar({ of, calendar, tall = false }: { of: Balances; calendar?: number | null; tall?: boolean }) {
  const total = cents(of.total) ?? 0n;
  const parts = KINDS.map((kind) => ({ kind, value: cents(of[kind]) ?? 0n }));
  const used = parts.reduce((sum, { value }) => sum + (value > 0n ? value : 0n), 0n);
  // What is used beyond the total makes the scale longer, and the end of the total becomes a line.
  const scale = used > total ? used : total;
  const over = used > total;
  const height = tall ? 20 : 12;
  let x = 0;
  const said = [
    ...parts.map(({ kind, value }) => `${t().money[kind]} ${money(value, settings.money.value)}`),
    `${t().money.available} ${money(of.available, settings.money.value)}`,
    `${t().money.total} ${money(total, settings.money.value)}`,
  ].join(" · ");
  const mark = (part: number, kind: string) => (
    <rect key={kind} class={`mark mark-${kind}`} x={part * WIDTH - 2} y={0} width={4} height={height} />
  );
  const planned = cents(of.planned) ?? 0n;
  return (
    <svg
      class={`bar${tall ? " bar-tall" : ""}`}
      viewBox={`0 0 ${WIDTH} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={said}
    >
      <title>{said}</title>
      <rect class="part part-total" x={0} y={2} width={share(total, scale) * WIDTH} height={height - 4} />
      {parts.map(({ kind, value }) => {
        const width = share(value, scale) * WIDTH;
        const part = <rect key={kind} class={`part part-${kind}`} x={x} y={2} width={width} height={height - 4} />;
        x += width;
        return part;
      })}
      {over && (
        <rect
          class="part part-over"
          x={share(total, scale) * WIDTH}
          y={2}
          width={WIDTH - share(total, scale) * WIDTH}
          height={height - 4}
        />
      )}
      {planned > 0n && mark(share(planned, scale), "plan")}
      {calendar !== null && calendar !== undefined && !over && mark(calendar, "calendar")}
    </svg>
  );
}

/** What the colours of bars mean. */
export function BarLegend({ plan = true, calendar = true }: { plan?: boolean; calendar?: boolean }) {
  const said = t().money;
  return (
    <ul class="legend" aria-label={said.legend}>
      {KINDS.map((kind) => (
        <li key={kind}>
          <i class={`swatch swatch-${kind}`} aria-hidden="true" />
          {said[kind]}
        </li>
      ))}
      <li>
        <i class="swatch swatch-available" aria-hidden="true" />
        {said.available}
      </li>
      <li>
        <i class="swatch swatch-over" aria-hidden="true" />
        {said.overspent}
      </li>
      {plan && (
        <li>
          <i class="swatch swatch-plan" aria-hidden="true" />
          {said.planned}
        </li>
      )}
      {calendar && (
        <li>
          <i class="swatch swatch-calendar" aria-hidden="true" />
          {said.calendar}
        </li>
      )}
    </ul>
  );
}

/** The executed share of a total in words. */
export function executedShare(of: { total: string; executed: string; executed_ratio?: string | null }): string {
  if (of.executed_ratio) return percent(of.executed_ratio);
  const total = cents(of.total) ?? 0n;
  return total > 0n ? percent(share(cents(of.executed) ?? 0n, total, 99)) : t().empty;
}
