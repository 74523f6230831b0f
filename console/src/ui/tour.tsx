// The tour of a demo: five steps, each a screen and a few words. It stands beside what it speaks of and covers nothing for long.
import { signal } from "@preact/signals";
import { useKeys } from "../keys";
import { go } from "../router";
import { t } from "../text";

/** The step that is shown; null outside of a tour. */
export const tourStep = signal<number | null>(null);

export function Tour() {
  return tourStep.value === null ? null : <Step at={tourStep.value} />;
}

function Step({ at }: { at: number }) {
  const said = t().demo;
  const step = said.steps[at];
  const show = (next: number | null) => {
    tourStep.value = next;
    const there = next === null ? undefined : said.steps[next];
    if (there) go(there.to);
  };
  useKeys({ Escape: () => show(null) });
  if (!step) return null;
  return (
    <aside class="tour" aria-label={said.tour}>
      <p class="faint">{said.step(at + 1, said.steps.length)}</p>
      <div role="status">
        <h2>{step.title}</h2>
        <p>{step.text}</p>
      </div>
      <div class="tour-tools">
        <button type="button" class="plain" onClick={() => show(null)}>
          {said.end}
        </button>
        {at > 0 && (
          <button type="button" class="button" onClick={() => show(at - 1)}>
            {said.back}
          </button>
        )}
        <button type="button" class="button is-main" onClick={() => show(at + 1 < said.steps.length ? at + 1 : null)}>
          {at + 1 < said.steps.length ? said.next : said.end}
        </button>
      </div>
    </aside>
  );
}
