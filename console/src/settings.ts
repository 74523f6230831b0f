// What a person has set for themselves. It stays in this browser and is no secret.
import { effect, type Signal, signal } from "@preact/signals";

export type Language = "zh" | "en";
export type Theme = "auto" | "light" | "dark";
export type MoneyUnit = "yuan" | "wan";

function kept<T extends string>(name: string, words: readonly T[] | null, first: T): Signal<T> {
  const key = `fiscwatch.${name}`;
  let known: string | null = null;
  try {
    known = localStorage.getItem(key);
  } catch {
    // Without storage it lasts as long as the page.
  }
  const isKnown = known !== null && (words === null || words.includes(known as T));
  const value = signal<T>(isKnown ? (known as T) : first);
  effect(() => {
    try {
      localStorage.setItem(key, value.value);
    } catch {
      // As above.
    }
  });
  return value;
}

export const settings = {
  language: kept<Language>("language", ["zh", "en"], "zh"),
  theme: kept<Theme>("theme", ["auto", "light", "dark"], "auto"),
  money: kept<MoneyUnit>("money", ["yuan", "wan"], "yuan"),
  /** The name that goes into the history where nobody signs in. */
  officer: kept<string>("officer", null, ""),
};

effect(() => {
  const root = document.documentElement;
  if (settings.theme.value === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", settings.theme.value);
});
