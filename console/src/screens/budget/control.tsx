import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { GroupPage } from "../../api/types";
import { query } from "../../router";
import { settings } from "../../settings";
import { t } from "../../text";
import { BarLegend } from "../../ui/bar";
import { Empty, Failed, Loading, Panel } from "../../ui/parts";
import { SumsTable } from "./sums";

const PAGE = 200;

/** The groups of lines that rules control together, those with the least left first. */
export function ControlGroups({ calendar }: { calendar: number | null }) {
  const said = t().budget;
  const now = query.value;
  const sort = now.get("sort") ?? "available";
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
      <SumsTable
        label={said.control}
        first="key"
        sort={sort}
        calendar={calendar}
        rows={data.groups.map((group) => ({
          ...group,
          id: `${group.group_id} ${group.key}`,
          title: (
            <>
              {group.key} <span class="faint">{group.title[settings.language.value] ?? group.group_id}</span>
            </>
          ),
        }))}
      />
      {data.total > data.groups.length && <p class="foot-note">{t().inbox.counted(data.groups.length, data.total)}</p>}
    </Panel>
  );
}
