import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { AlertPage, BudgetLine } from "../../api/types";
import { to } from "../../router";
import { t } from "../../text";
import { BarLegend, BudgetBar, executedShare } from "../../ui/bar";
import { Facts, Failed, Heading, Loading, Missing, Money, Panel, Time, isMissing, moneyUnit } from "../../ui/parts";
import { Balances } from "../alerts/line";
import { AlertLines } from "../alerts/related";
import { History } from "./history";

/** A code with what its table calls it. */
const called = (code?: string | null, name?: string | null) => [name, code].filter(Boolean).join(" ") || null;

/** One budget line: what it has, and what was found about it. */
export function LinePage({ id }: { id: string }) {
  const said = t().budget;
  const { data, error, again } = useLoad(`line ${id}`, (stop) =>
    ask<BudgetLine>(`/budget-lines/${encodeURIComponent(id)}`, {}, { stop }),
  );
  const alerts = useLoad(`alerts of line ${id}`, (stop) =>
    ask<AlertPage>("/alerts", { line: id, limit: 20 }, { stop }),
  );
  if (isMissing(error)) return <Missing title={said.missing} id={id} />;
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading />;
  return (
    <div>
      <Heading
        title={id}
        lead={
          <>
            {data.unit_code && (
              <>
                <a href={to("units", data.unit_code)}>{data.unit_name ?? data.unit_code}</a> ·{" "}
              </>
            )}
            {[data.fiscal_year, data.approved ? said.approved : said.notApproved].filter(Boolean).join(" · ")}
          </>
        }
      />
      <Panel title={said.bar} lead={moneyUnit()} aside={`${t().money["ratio"]} ${executedShare(data)}`}>
        <BudgetBar of={data} calendar={data.year_elapsed ? Number(data.year_elapsed) : null} tall />
        <BarLegend />
        <Balances of={data} />
      </Panel>
      <History line={data} />
      <Panel title={said.attributes}>
        <Facts
          of={[
            [
              said.unit,
              data.unit_code && (
                <a href={to("units", data.unit_code)}>{[data.unit_name, data.unit_code].filter(Boolean).join(" ")}</a>
              ),
            ],
            [said.region, called(data.region_code, data.region_name)],
            [said.function, called(data.function_code, data.function_name)],
            [said.economic, called(data.economic_code, data.economic_name)],
            [said.project, called(data.project_code, data.project_name)],
            [said.fund, called(data.fund_type, data.fund_name)],
            [t().money["plan_available"]!, <Money of={data.plan_available} sign />],
            [t().money["cleared"]!, <Money of={data.cleared} />],
            [t().money["uncleared"]!, <Money of={data.uncleared} />],
            [t().money["opening"]!, <Money of={data.opening} />],
            [said.lastEvent, <Time at={data.last_event_at} />],
          ]}
        />
      </Panel>
      <Panel title={said.alerts}>
        {alerts.error && <Failed error={alerts.error} again={alerts.again} />}
        {alerts.data &&
          (alerts.data.alerts.length === 0 ? (
            <p class="faint">{t().alert.relatedNone}</p>
          ) : (
            <AlertLines alerts={alerts.data.alerts} />
          ))}
      </Panel>
    </div>
  );
}
