import { Problem, ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { BudgetLine } from "../../api/types";
import { to } from "../../router";
import { t } from "../../text";
import { BarLegend, BudgetBar, executedShare } from "../../ui/bar";
import { Failed, Loading, Money, Panel } from "../../ui/parts";

export const BALANCES = ["total", "executed", "reserved", "frozen", "available", "planned"] as const;

/** The line of an alert as it stands now. */
export function LineNow({ id }: { id: string }) {
  const { data, error, again } = useLoad(`line ${id}`, (stop) =>
    ask<BudgetLine>(`/budget-lines/${encodeURIComponent(id)}`, {}, { stop }),
  );
  if (error instanceof Problem && (error.status === 404 || error.status === 403)) return null;
  return (
    <Panel
      title={t().alert.lineNow}
      lead={<a href={to("budget", id)}>{id}</a>}
      aside={data && `${t().money["ratio"]} ${executedShare(data)}`}
    >
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading rows={2} />}
      {data && (
        <>
          <BudgetBar of={data} calendar={data.year_elapsed ? Number(data.year_elapsed) : null} tall />
          <BarLegend />
          <Balances of={data} />
        </>
      )}
    </Panel>
  );
}

/** Balances side by side. */
export function Balances({ of }: { of: Record<(typeof BALANCES)[number], string> }) {
  return (
    <dl class="balances">
      {BALANCES.map((name) => (
        <div key={name}>
          <dt>{t().money[name]}</dt>
          <dd>
            <Money of={of[name]} sign />
          </dd>
        </div>
      ))}
    </dl>
  );
}
