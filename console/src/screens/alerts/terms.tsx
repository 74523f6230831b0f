// What an order says beside why: to whom, by which day, with what outcome, into which alert.
import type { Alert } from "../../api/types";
import { session } from "../../api/session";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { type Act, OUTCOMES, type Terms as Said } from "./work";

/** What is missing before an order can be given. */
export function missing(act: Act, terms: Said): string | null {
  const said = t().act;
  if (act === "assign" && !terms.to?.trim()) return said.toNeeded;
  if (act === "postpone" && !terms.due) return said.dueNeeded;
  if (act === "merge" && !terms.into?.trim()) return said.intoNeeded;
  if (act === "close" && !terms.outcome) return said.outcomeNeeded;
  if (act === "close" && terms.outcome === "money_returned" && !terms.amount?.trim()) return said.amountNeeded;
  return null;
}

export function Terms({
  act,
  alerts,
  terms,
  change,
}: {
  act: Act;
  alerts: Alert[];
  terms: Said;
  change: (terms: Said) => void;
}) {
  const said = t().act;
  const set = (name: keyof Said, value: string) => {
    const { [name]: _, ...others } = terms;
    change(value === "" ? others : { ...others, [name]: value });
  };
  const field = (name: keyof Said, label: string, mode: "text" | "decimal" = "text") => (
    <label class="order-name">
      <span>{label}</span>
      <input
        name={name}
        type="text"
        inputMode={mode}
        maxLength={100}
        value={terms[name] ?? ""}
        onInput={(event) => set(name, event.currentTarget.value)}
      />
    </label>
  );
  switch (act) {
    case "assign": {
      const me = session.user ?? settings.officer.value;
      return (
        <>
          {field("to", said.to)}
          <div class="reasons">
            {me && (
              <button type="button" class="chip" onClick={() => set("to", me)}>
                {said.toMe}
              </button>
            )}
            {alerts.some((alert) => alert.owner) && (
              <button type="button" class="chip" onClick={() => set("to", "-")}>
                {said.toNobody}
              </button>
            )}
          </div>
        </>
      );
    }
    case "postpone":
      return (
        <label class="order-name">
          <span>{said.due}</span>
          <input
            name="due"
            type="date"
            value={terms.due ?? ""}
            onInput={(event) => set("due", event.currentTarget.value)}
          />
        </label>
      );
    case "merge":
      return field("into", said.into);
    case "close":
      return (
        <>
          <label class="order-name">
            <span>{said.outcome}</span>
            <select
              name="outcome"
              value={terms.outcome ?? ""}
              onChange={(event) => set("outcome", event.currentTarget.value)}
            >
              <option value="">{said.choose}</option>
              {OUTCOMES.map((outcome) => (
                <option key={outcome} value={outcome}>
                  {word(t().outcome, outcome)}
                </option>
              ))}
            </select>
          </label>
          {field("amount", said.amount, "decimal")}
        </>
      );
    default:
      return null;
  }
}
