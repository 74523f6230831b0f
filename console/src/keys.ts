// The keyboard: single keys where nobody types, and `g` followed by a key to go somewhere.
import { useEffect, useRef } from "preact/hooks";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const stack: { current: Keys }[] = [];
let prefix: string | null = null;
let prefixTimer: ReturnType<typeof setTimeout> | undefined;

const isTyping = (target: EventTarget | null): boolean => {
  const element = target as HTMLElement | null;
  return (
    !!element &&
    (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.isContentEditable) &&
    (element as HTMLInputElement).type !== "checkbox"
  );
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event.target) && event.key !== "Escape") return;
  // What lies behind an open dialog is not meant; the dialog itself takes Escape.
  if (document.querySelector("dialog[open]")) return;
  const name = prefix === null ? event.key : `${prefix} ${event.key}`;
  clearTimeout(prefixTimer);
  prefix = null;
  if (name === "g") {
    prefix = "g";
    prefixTimer = setTimeout(() => (prefix = null), 1_500);
    return;
  }
  // What was opened last is asked first.
  for (let i = stack.length - 1; i >= 0; i -= 1) {
    const act = stack[i]!.current[name];
    if (act) {
      event.preventDefault();
      act(event);
      return;
    }
  }
});

/** Keys that work while a component is there. */
export function useKeys(keys: Keys): void {
  const own = useRef(keys);
  own.current = keys;
  useEffect(() => {
    stack.push(own);
    return () => {
      stack.splice(stack.indexOf(own), 1);
    };
  }, []);
}
