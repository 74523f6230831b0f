// The one table of texts, in the language that is set; the other one is loaded when somebody asks for it. Reading `t()` while
// rendering follows the language.
import { effect, signal } from "@preact/signals";
import { settings } from "../settings";
import type { Texts } from "./zh";

const LOAD: Record<"zh" | "en", () => Promise<Texts>> = {
  zh: async () => (await import("./zh")).zh,
  en: async () => (await import("./en")).en,
};
const table = signal<Texts | undefined>(undefined);

/** The texts in the language that is set. Nothing is rendered before they are there. */
export const t = (): Texts => table.value!;

/** Resolves when there are texts. */
export const loaded = new Promise<void>((resolve, reject) => {
  effect(() => {
    const language = settings.language.value;
    LOAD[language]().then((texts) => {
      if (settings.language.value !== language) return;
      table.value = texts;
      document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
      resolve();
      // Without the daemon the language stays what it is.
    }, reject);
  });
});

/** A word of a table, or the word itself: an older console still shows what a newer daemon says. */
export const word = (table: Record<string, string>, key: string | null | undefined): string =>
  key === null || key === undefined ? t().empty : (table[key] ?? key);
