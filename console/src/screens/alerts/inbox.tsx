import { useEffect, useRef, useState } from "preact/hooks";
import { ask, epoch } from "../../api/client";
import { session } from "../../api/session";
import type { Alert, AlertPage } from "../../api/types";
import { useKeys } from "../../keys";
import { live } from "../../live";
import { go, query, to, withParams } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Empty, Failed, Heading, Key, Loading, Said } from "../../ui/parts";
import { memo } from "../../ui/memo";
import { Save } from "../../ui/save";
import { ActionBar, Composer, begin, isComposing } from "./composer";
import { asked, set } from "./filter";
import { Filters, Tabs } from "./filters";
import * as list from "./model";
import { Row } from "./row";
import { silenceAddress } from "./silence";
import { afterInList, meant } from "./selection";
import { ACTS, KEYS, isOver } from "./work";

export function Inbox() {
  const grid = useRef<HTMLDivElement>(null);
  const now = query.value;
  const filter = asked(now);
  const key = JSON.stringify(filter);
  const minute = useMinute();
  const round = epoch.value;
  useEffect(() => {
    list.address.value = withParams({}, now);
    void list.show(filter);
  }, [key]);
  // The daemon is back, or something changed.
  const news = live.alerts.value;
  useEffect(() => list.hear(news), [news]);
  const resets = live.resets.value;
  useEffect(() => {
    if (list.rows.peek().length > 0) void list.refresh();
    else if (!list.busy.peek()) void list.load();
  }, [round, resets]);
  useEffect(() => () => void (list.focused.value = false), []);

  const cursor = list.cursor.value;
  const focus = () => {
    const row = grid.current?.querySelector<HTMLElement>(`[data-id="${list.cursor.peek()}"]`);
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: "nearest" });
  };
  useEffect(() => {
    // The row follows the cursor where the list is worked in, and never takes the focus from a field.
    if (list.focused.peek() && !isComposing()) focus();
  }, [cursor]);
  const move = (by: number) => {
    list.move(by);
    focus();
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Home: () => move(-1e9),
    End: () => move(1e9),
    Enter: (event) => {
      const button = (event.target as Element).closest("button, a");
      if (button) (button as HTMLElement).click();
      else if (list.cursor.peek()) go(to("alerts", list.cursor.peek()!));
    },
    x: () => list.cursor.peek() && list.toggle(list.cursor.peek()!),
    " ": () => list.cursor.peek() && list.toggle(list.cursor.peek()!),
    n: () => {
      list.moveTo((alert) => !alert.owner && !isOver(alert));
      focus();
    },
    ".": () => void list.showHeld().then(focus),
    s: () => {
      const first = meant()[0];
      if (first) go(silenceAddress(first));
    },
    Escape: () => (list.selected.value = new Set()),
    ...Object.fromEntries(ACTS.map((act) => [KEYS[act], () => begin(act, meant(), afterInList)])),
  });
  useEffect(() => {
    // Who comes back from an alert goes on where they were.
    if (list.rows.peek().length > 0) focus();
  }, []);

  const rows = list.rows.value;
  const selected = list.selected.value;
  const isSet = set(now);
  return (
    <div class="inbox">
      <Heading title={t().inbox.title} lead={rows.length > 0 && t().inbox.counted(rows.length, list.total.value)}>
        {rows.length > 0 && session.may("alerts.export") && (
          <Save plain path="/alerts/register.xlsx" query={filter}>
            {t().reports.register}
          </Save>
        )}
        <button type="button" class="plain wide-only" onClick={() => print()}>
          {t().inbox.print}
        </button>
      </Heading>
      <Tabs counts={list.counts.value} />
      <Filters />
      <Held focus={focus} />
      {list.failure.value && <Failed error={list.failure.value} again={() => void list.load()} />}
      <div class="grid-place">
        {rows.length > 0 && (
          <div
            ref={grid}
            class="grid"
            role="grid"
            aria-label={t().inbox.list}
            aria-multiselectable="true"
            aria-rowcount={list.next.value === null ? rows.length + 1 : -1}
            onFocusIn={() => (list.focused.value = true)}
            onFocusOut={(event) => {
              if (!grid.current?.contains(event.relatedTarget as Node | null)) list.focused.value = false;
            }}
            onClick={(event) => {
              const row = (event.target as Element).closest<HTMLElement>("[data-id]");
              if (!row || (event.target as Element).closest("a, button, label")) return;
              list.cursor.value = row.dataset.id!;
              if (getSelection()?.toString() === "") go(to("alerts", row.dataset.id!));
            }}
          >
            <Head />
            {list.blocks.value.map((block, at) => (
              <Block
                key={at}
                of={block}
                from={at * list.BLOCK}
                cursor={block.some((alert) => alert.alert_id === cursor) ? cursor : null}
                selected={block.flatMap(({ alert_id: id }) => (selected.has(id) ? [id] : [])).join(" ")}
                minute={minute}
                language={settings.language.value}
              />
            ))}
          </div>
        )}
        {rows.length === 0 && list.busy.value && <Loading rows={14} />}
        {rows.length === 0 && !list.busy.value && !list.failure.value && (
          <Empty title={isSet.length > 0 ? t().inbox.emptyFiltered : t().inbox.empty}>
            {isSet.length > 0 ? <Excluding key={key} /> : <p class="faint">{t().inbox.emptyHint}</p>}
          </Empty>
        )}
        <Foot />
      </div>
      {selected.size > 0 && (
        <div class="bulk">
          <span class="bulk-count">{t().act.selected(selected.size)}</span>
          <ActionBar alerts={meant()} done={afterInList} />
          <button type="button" class="plain" onClick={() => (list.selected.value = new Set())}>
            {t().act.clear}
          </button>
        </div>
      )}
      <Said text={selected.size > 0 ? t().act.selected(selected.size) : ""} />
      <Composer />
    </div>
  );
}

/** Some rows after one another: a key that moves the cursor draws two of these again, and not ten thousand rows. */
const Block = memo<{
  of: Alert[];
  from: number;
  cursor: string | null;
  /** The ids that are selected, as one text. */
  selected: string;
  minute: number;
  language: string;
}>(({ of, from, cursor, selected, minute, language }) => {
  const picked = new Set(selected.split(" "));
  return (
    <div role="rowgroup" class={of.length === list.BLOCK ? "rows is-whole" : "rows"}>
      {of.map((alert, at) => (
        <Row
          key={alert.alert_id}
          alert={alert}
          at={from + at}
          isCursor={alert.alert_id === cursor}
          isSelected={picked.has(alert.alert_id)}
          minute={minute}
          language={language}
          onPick={pick}
        />
      ))}
    </div>
  );
});

let lastPicked: string | null = null;

/** Selects a row, or all from the last one to it. */
function pick(id: string, range: boolean): void {
  const ids = list.rows.peek().map((alert) => alert.alert_id);
  const [a, b] = [ids.indexOf(lastPicked ?? ""), ids.indexOf(id)];
  if (range && a >= 0) {
    list.selected.value = new Set([...list.selected.peek(), ...ids.slice(Math.min(a, b), Math.max(a, b) + 1)]);
  } else {
    list.toggle(id);
  }
  lastPicked = id;
  list.cursor.value = id;
}

function Head() {
  const said = t().inbox.columns;
  const all = list.rows.value.length;
  const isAll = list.selected.value.size >= all && all > 0;
  return (
    <div role="row" class="row head" aria-rowindex={1}>
      <span role="columnheader" class="cell pick">
        <input
          type="checkbox"
          aria-label={t().act.selectAll(all)}
          title={t().act.selectAll(all)}
          checked={isAll}
          onChange={() =>
            (list.selected.value = isAll ? new Set() : new Set(list.rows.peek().map((alert) => alert.alert_id)))
          }
        />
      </span>
      <span role="columnheader" class="cell severity-cell">
        {said.severity}
      </span>
      <span role="columnheader" class="cell state-cell">
        {said.state}
      </span>
      <span role="columnheader" class="cell title-cell">
        {said.rule}
      </span>
      <span role="columnheader" class="cell summary-cell">
        {said.summary}
      </span>
      <span role="columnheader" class="cell findings-cell figure">
        {said.findings}
      </span>
      <span role="columnheader" class="cell last-cell figure">
        {said.last}
      </span>
      <span role="columnheader" class="cell age-cell figure">
        {said.age}
      </span>
      <span role="columnheader" class="cell owner-cell">
        {said.owner}
      </span>
      <span role="columnheader" class="cell actions-cell">
        <span class="sr">{t().act.bar}</span>
      </span>
    </div>
  );
}

/** New alerts that wait until they are wanted. */
function Held({ focus }: { focus: () => void }) {
  const n = list.held.value.length;
  return (
    <div role="status" class="held-place">
      {n > 0 && (
        <button type="button" class="held" onClick={() => void list.showHeld().then(focus)}>
          {t().inbox.held(n)} · {t().inbox.heldKey.split(".")[0]}
          <Key of="." />
          {t().inbox.heldKey.split(".")[1]}
        </button>
      )}
    </div>
  );
}

/** The end of the list, which reads on when it is seen. */
function Foot() {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const watch = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && void list.more(), {
      rootMargin: "600px",
    });
    if (place.current) watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  const isMore = list.next.value !== null;
  return (
    <div ref={place} class="foot">
      {isMore && (
        <button type="button" class="button" disabled={list.busy.value} onClick={() => void list.more()}>
          {list.busy.value ? t().link.loading : t().inbox.next}
        </button>
      )}
      {!isMore && list.rows.value.length > 0 && <span class="faint">{t().inbox.end}</span>}
    </div>
  );
}

/** Nothing is found: which filter excludes everything. */
function Excluding() {
  const [without, setWithout] = useState<{ name: string; words: string }[]>([]);
  const now = query.value;
  useEffect(() => {
    const stop = new AbortController();
    const state = now.get("state");
    const candidates = [
      ...set(now),
      ...(state !== "all"
        ? [{ name: "state", words: `${t().inbox.state} ${word(t().state, state ?? "active")}` }]
        : []),
    ];
    void Promise.all(
      candidates.map(async (one) => {
        const rest = new URLSearchParams(now);
        if (one.name === "state") rest.set("state", "all");
        else rest.delete(one.name);
        const page = await ask<AlertPage>("/alerts", { ...asked(rest), limit: 1 }, { stop: stop.signal });
        return page.alerts.length > 0 ? one : null;
      }),
    ).then(
      (found) => setWithout(found.filter((one) => one !== null)),
      () => undefined,
    );
    return () => stop.abort();
  }, []);
  return (
    <p class="excluding">
      {without.map(({ name, words }) => (
        <a key={name} class="chip" href={withParams({ [name]: name === "state" ? "all" : null })}>
          {t().inbox.excludes(words)}
        </a>
      ))}
    </p>
  );
}

/** Now, by the minute. */
function useMinute(): number {
  const [minute, set] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), 60_000);
    return () => clearInterval(timer);
  }, []);
  return minute;
}
