import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { AlertPage, BudgetTotals } from "../../api/types";
import { yearElapsed } from "../../format/time";
import { live } from "../../live";
import { t } from "../../text";
import { Failed, Heading, Missing, Panel, moneyUnit } from "../../ui/parts";
import { AlertLines } from "../alerts/related";
import { Lines } from "./overview";

/** One unit: its lines together and each, and its alerts. */
export function Unit({ id }: { id: string }) {
  const said = t().budget;
  const asked = { group_by: "unit", unit: id };
  const totals = useLoad(`unit ${id}`, (stop) => ask<BudgetTotals>("/budget/totals", asked, { stop }));
  const alerts = useLoad(`alerts of unit ${id}`, (stop) =>
    ask<AlertPage>("/alerts", { unit: id, state: "active", limit: 10 }, { stop }),
  );
  if (totals.data?.groups.length === 0) return <Missing title={said.missingUnit} id={id} />;
  const asOf = live.status.value?.last_event_at;
  return (
    <div>
      <Heading title={totals.data?.groups[0]?.name ?? id} lead={[id, moneyUnit()].join(" · ")} />
      <Lines calendar={asOf ? yearElapsed(asOf) : null} unit={id} />
      <Panel
        title={said.alertsUnit}
        class="after-table"
        aside={<a href={`/alerts?state=all&unit=${encodeURIComponent(id)}`}>{t().today.seeAll}</a>}
      >
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
