import type { Alert } from "../../api/types";
import * as list from "./model";
import { type Act, type Outcome, isOver } from "./work";

/** The alerts that keys and bars act on: what is selected, or else the row of the cursor. */
export function meant(): Alert[] {
  const chosen = list.rows.peek().filter((alert) => list.selected.peek().has(alert.alert_id));
  if (chosen.length > 0) return chosen;
  const row = list.byId.peek().get(list.cursor.peek() ?? "");
  return row ? [row] : [];
}

/** After an order from the list: what was done is no longer selected, and the cursor goes to the next row. */
export function afterInList(outcomes: Outcome[], act: Act): void {
  const failed = new Set(outcomes.filter((outcome) => outcome.why !== null).map((outcome) => outcome.alert.alert_id));
  const wasMany = list.selected.peek().size > 0;
  list.selected.value = new Set([...list.selected.peek()].filter((id) => failed.has(id)));
  if (!wasMany && failed.size === 0 && act !== "comment") {
    // Whoever works in the list has it: the next row gets the focus.
    list.focused.value = true;
    list.moveTo((alert) => !isOver(alert) && !outcomes.some((outcome) => outcome.alert.alert_id === alert.alert_id));
  }
}
