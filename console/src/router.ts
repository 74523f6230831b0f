// Where somebody is, is in the address: the path names the screen, the query has every filter, sort and tab.
import { computed, signal } from "@preact/signals";

const here = () => location.pathname + location.search;
const address = signal(here());

/** The path. */
export const path = computed(() => address.value.split("?")[0]!);
/** The query. */
export const query = computed(() => new URLSearchParams(address.value.split("?")[1] ?? ""));

addEventListener("popstate", () => {
  address.value = here();
});

/** Goes somewhere; `replace` leaves no step in the browser's history. */
export function go(to: string, { replace = false } = {}): void {
  if (to === here()) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  const pathChanged = to.split("?")[0] !== path.value;
  address.value = here();
  if (pathChanged) scrollTo(0, 0);
}

/** The address with other parameters; empty ones vanish, so that the default address is clean. */
export function withParams(changes: Record<string, string | null | undefined>, base = query.value): string {
  const next = new URLSearchParams(base);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString().replace(/%2C/g, ",");
  return text === "" ? path.value : `${path.value}?${text}`;
}

/** A path of one fixed word and one value, such as `/alerts/5b0e`. */
export const to = (screen: string, id: string): string => `/${screen}/${encodeURIComponent(id)}`;

// Links of this page stay in it.
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = (event.target as Element | null)?.closest?.("a[href]") as HTMLAnchorElement | null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname.startsWith("/api/") || link.getAttribute("href")!.startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
