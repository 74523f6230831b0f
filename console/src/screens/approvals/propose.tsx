import { useState } from "preact/hooks";
import { columnName } from "../../format/values";
import { t } from "../../text";
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
export function ProposeBudget({ done }: { done: () => void }) {
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
