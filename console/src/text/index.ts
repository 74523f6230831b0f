// The one table of texts. Reading `t()` while rendering follows the language.
import { effect } from "@preact/signals";
import { settings } from "../settings";
import { en } from "./en";
import { type Texts, zh } from "./zh";

const TABLES: Record<"zh" | "en", Texts> = { zh, en };

/** The texts in the language that is set. */
export const t = (): Texts => TABLES[settings.language.value];

effect(() => {
  document.documentElement.lang = settings.language.value === "zh" ? "zh-CN" : "en";
});

/** A word of a table, or the word itself: an older console still shows what a newer daemon says. */
export const word = (table: Record<string, string>, key: string | null | undefined): string =>
  key === null || key === undefined ? t().empty : (table[key] ?? key);
