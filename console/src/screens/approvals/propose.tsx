import { useState } from "preact/hooks";
import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { ReferenceLists } from "../../api/types";
import { columnName } from "../../format/values";
import { query } from "../../router";
import { t } from "../../text";
import { Failed, Loading } from "../../ui/parts";
import { Propose } from "../../ui/propose";

const ACTIONS = [
  "supplement",
  "reduce",
  "transfer",
  "freeze",
  "unfreeze",
  "carry_over",
  "reclaim",
  "plan",
  "plan_reduce",
  "approve",
] as const;
/** What a new line says of itself. */
const OF_LINE = ["fiscal_year", "region_code", "unit_code", "function_code", "economic_code"] as const;

/** A budget action that is entered by hand, to be approved by others. */
function ProposeBudget({ done }: { done: () => void }) {
  const said = t().approvals;
  const [action, setAction] = useState<(typeof ACTIONS)[number]>("supplement");
  const [fields, setFields] = useState<Record<string, string>>({});
  const set = (name: string) => (event: { currentTarget: HTMLInputElement }) =>
    setFields({ ...fields, [name]: event.currentTarget.value.trim() });
  const names = ["budget_line_id", "amount", "occurred_at"];
  if (action === "transfer") names.push("to_budget_line_id");
  if (action === "approve") names.push(...OF_LINE);
  const given = names.filter((name) => fields[name]).map((name) => [name, fields[name]!] as const);
  const own: Record<string, unknown> = { action, ...Object.fromEntries(given) };
  if (own.fiscal_year) own.fiscal_year = Number(own.fiscal_year);
  return (
    <Propose path="/approvals" body={{ kind: "budget", actions: [own] }} done={done}>
      <label>
        <span>{said.actionOf}</span>
        <select value={action} onChange={(event) => setAction(event.currentTarget.value as typeof action)}>
          {ACTIONS.map((one) => (
            <option key={one} value={one}>
              {t().budgetAction[one]}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{columnName("budget_line_id")}</span>
        <input name="line" required maxLength={64} onInput={set("budget_line_id")} />
      </label>
      {action === "transfer" && (
        <label>
          <span>{said.toLine}</span>
          <input name="to" required maxLength={64} onInput={set("to_budget_line_id")} />
        </label>
      )}
      <label>
        <span>{said.amount}</span>
        <input name="amount" required inputMode="decimal" maxLength={20} onInput={set("amount")} />
      </label>
      <label>
        <span>{said.day}</span>
        <input name="day" type="date" onInput={set("occurred_at")} />
      </label>
      {action === "approve" &&
        OF_LINE.map((name) => (
          <label key={name}>
            <span>{columnName(name)}</span>
            <input name={name} required maxLength={64} onInput={set(name)} />
          </label>
        ))}
    </Propose>
  );
}

/** What can be proposed here by whoever asks. */
export function ProposeAny({ done }: { done: () => void }) {
  const said = t().approvals;
  const kinds = (
    [
      ["budget", "budget.propose"],
      ["list", "rules.propose"],
    ] as const
  )
    .filter(([, needs]) => session.may(needs))
    .map(([kind]) => kind);
  const wanted = query.value.get("propose") === "list" ? "list" : "budget";
  const [kind, setKind] = useState<"budget" | "list">(kinds.find((one) => one === wanted) ?? kinds[0] ?? "budget");
  return (
    <>
      {kinds.length > 1 && (
        <div class="segments" role="group" aria-label={said.kindOf}>
          {kinds.map((one) => (
            <button key={one} type="button" aria-pressed={kind === one} onClick={() => setKind(one)}>
              {said.kind[one]}
            </button>
          ))}
        </div>
      )}
      {kind === "budget" ? <ProposeBudget done={done} /> : <ProposeRow done={done} />}
    </>
  );
}

/** A row of a list that is to be there or to go, to be approved by others. */
function ProposeRow({ done }: { done: () => void }) {
  const said = t().approvals;
  const asked = query.value;
  const { data, error, again } = useLoad("reference lists", (stop) => ask<ReferenceLists>("/lists", {}, { stop }));
  const [name, setName] = useState(asked.get("list") ?? "");
  const [goes, setGoes] = useState(false);
  const [cells, setCells] = useState<Record<string, string>>({});
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={3} />;
  const list = data.lists.find((one) => one.name === name) ?? data.lists[0];
  if (!list) return <p class="faint">{said.noLists}</p>;
  // What the page that led here is about goes into the key.
  const all: Record<string, string> = { [list.key]: asked.get("key") ?? "", ...cells };
  const columns = goes ? [list.key] : list.columns;
  const row = Object.fromEntries(
    columns.filter((column) => all[column]).map((column) => [column, all[column]!.trim()]),
  );
  const change = goes ? { remove: [(all[list.key] ?? "").trim()] } : { put: [row] };
  return (
    <Propose path="/approvals" body={{ kind: "list", list: list.name, ...change }} done={done}>
      <label>
        <span>{said.list}</span>
        <select
          name="list"
          value={list.name}
          onChange={(event) => {
            setName(event.currentTarget.value);
            setCells({});
          }}
        >
          {data.lists.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{said.listChange}</span>
        <select
          name="change"
          value={goes ? "remove" : "put"}
          onChange={(event) => setGoes(event.currentTarget.value === "remove")}
        >
          <option value="put">{said.put}</option>
          <option value="remove">{said.remove}</option>
        </select>
      </label>
      {columns.map((column) => (
        <label key={`${list.name} ${column}`}>
          <span>{columnName(column)}</span>
          <input
            name={`cell-${column}`}
            required={column === list.key}
            maxLength={500}
            value={all[column] ?? ""}
            onInput={(event) => setCells({ ...cells, [column]: event.currentTarget.value })}
          />
        </label>
      ))}
    </Propose>
  );
}
