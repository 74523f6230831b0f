import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { GroupPage } from "../../api/types";
import { count, percent } from "../../format/money";
import { query } from "../../router";
import { settings } from "../../settings";
import { t } from "../../text";
import { BarLegend, BudgetBar } from "../../ui/bar";
import { Empty, Failed, Loading, Panel } from "../../ui/parts";
import { Figures, Head } from "./overview";

const PAGE = 200;

/** The groups of lines that rules control together, the most used first. */
export function ControlGroups({ calendar }: { calendar: number | null }) {
  const said = t().budget;
  const now = query.value;
  const sort = now.get("sort") ?? "-executed_ratio";
  const asked = { q: now.get("q"), sort, limit: PAGE };
  const { data, error, again } = useLoad(`control ${JSON.stringify(asked)}`, (stop) =>
    ask<GroupPage>("/budget/groups", asked, { stop }),
  );
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={10} />;
  if (data.groups.length === 0) return <Empty title={said.controlEmpty} />;
  return (
    <Panel title={said.control} lead={said.controlLead}>
      <BarLegend />
      <div class="table-place" tabIndex={0} role="group" aria-label={said.control}>
        <table class="table budget-table">
          <thead>
            <tr>
              <Head name="key" title={said.control} sort={sort} />
              <th scope="col" class="bar-cell">
                {said.bar}
              </th>
              <Head name="total" title={t().money["total"]!} sort={sort} isFigure />
              <Head name="executed" title={t().money["executed"]!} sort={sort} isFigure />
              <Head name="reserved" title={t().money["reserved"]!} sort={sort} isFigure />
              <Head name="frozen" title={t().money["frozen"]!} sort={sort} isFigure />
              <Head name="available" title={t().money["available"]!} sort={sort} isFigure />
              <Head name="executed_ratio" title={t().money["ratio"]!} sort={sort} isFigure />
              <th scope="col" class="figure">
                {said.lines}
              </th>
            </tr>
          </thead>
          <tbody>
            {data.groups.map((group) => (
              <tr key={`${group.group_id} ${group.key}`}>
                <th scope="row">
                  {group.key} <span class="faint">{group.title[settings.language.value] ?? group.group_id}</span>
                </th>
                <td class="bar-cell">
                  <BudgetBar of={group.sums} calendar={calendar} />
                </td>
                <Figures of={group.sums} />
                <td class="figure on-phone">{percent(group.executed_ratio)}</td>
                <td class="figure">{count(group.lines)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {data.total > data.groups.length && <p class="foot-note">{t().inbox.counted(data.groups.length, data.total)}</p>}
    </Panel>
  );
}
