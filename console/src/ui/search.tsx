import { useEffect, useRef, useState } from "preact/hooks";
import { useKeys } from "../keys";
import { Icon } from "./icon";

/** A field to find something; `/` goes there. What is typed counts after a short rest. */
export function Search({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
}) {
  const [text, setText] = useState(value);
  const field = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useKeys({ "/": () => field.current?.focus() });
  useEffect(() => {
    if (document.activeElement !== field.current) setText(value);
  }, [value]);
  return (
    <label class="find">
      <Icon of="search" />
      <span class="sr">{label}</span>
      <input
        ref={field}
        type="search"
        placeholder={label}
        aria-keyshortcuts="/"
        value={text}
        onInput={(event) => {
          const typed = event.currentTarget.value;
          setText(typed);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => onChange(typed.trim()), 250);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape" || (event.key === "Enter" && !event.isComposing)) event.currentTarget.blur();
        }}
      />
    </label>
  );
}
