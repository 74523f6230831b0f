import type { Alert } from "../../api/types";

/** Where a silence of an alert's kind is ordered: its rule, and its unit if it has one. */
export function silenceAddress(alert: Alert): string {
  const unit = alert.labels["unit_code"]?.[0];
  const matchers = [`rule="${alert.rule_id}"`, ...(unit ? [`unit_code="${unit}"`] : [])];
  return `/silences?${new URLSearchParams({ new: matchers.join("\n") })}`;
}
