// Values of findings as an officer reads them: money, shares and words by the name of their column.
import { settings } from "../settings";
import { t, word } from "../text";
import { cents, money, percent } from "./money";
import { stamp } from "./time";

const MONEY =
  /(^|\.|_)(amount|total|executed|used|available|reserved|frozen|planned|plan_available|cleared|uncleared|opening)$/;
const SHARE = /(_ratio|year_elapsed|_share)$/;
/** Columns whose values are words of the schema. */
const WORDS = ["payment_mode", "settlement", "payee_type", "status"];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

/** The name of a column in the language that is set; `original.x` where only `x` is known. */
export function columnName(column: string): string {
  const known = t().columns;
  return known[column] ?? known[column.replace(/^(original|budget)\./, "")] ?? column;
}

export const isMoney = (column: string): boolean => MONEY.test(column);

/** A value as text. */
export function shown(column: string, value: unknown): string {
  if (value === null || value === undefined || value === "") return t().empty;
  if (typeof value === "boolean") return value ? t().yes : t().no;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (isMoney(column) && cents(text) !== null) return money(text, settings.money.value);
  if (SHARE.test(column)) return percent(text);
  if (WORDS.includes(column)) return word(t().words, text);
  if (column === "action") return word(t().budgetAction, text);
  if (column === "type") return word(t().eventType, text);
  return TIME.test(text) ? stamp(text) : text;
}
