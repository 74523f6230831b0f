// The place where an order is given: docked at the bottom, so that what it is about stays in sight. What was typed is kept until
// it is done; what failed is listed with its reason and stays selected.
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { session } from "../../api/session";
import type { Alert } from "../../api/types";
import { useKeys } from "../../keys";
import { to } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Said, Severity } from "../../ui/parts";
import { Terms as TermsOf, missing } from "./terms";
import {
  ACTS,
  type Act,
  KEYS,
  type Outcome,
  REVIEW_ACTS,
  type Terms,
  allows,
  carryOut,
  needsWhy,
  progress,
  right,
} from "./work";

interface Order {
  act: Act;
  alerts: Alert[];
  done: (outcomes: Outcome[], act: Act) => void;
  /** What has the focus again after it. */
  from: Element | null;
}

const order = signal<Order | null>(null);
const result = signal<{ act: Act; outcomes: Outcome[]; skipped: number } | null>(null);
/** What was typed for an order that was not given, by action. */
const typed: Partial<Record<Act, string>> = {};
/** The last reasons, to be used again while this page is open. */
const reasons: Partial<Record<Act, string[]>> = {};

/** Begins an order. It is carried out at once where nothing has to be said. */
export function begin(act: Act, alerts: Alert[], done: Order["done"]): void {
  if (!session.may(right(act))) return;
  const fit = alerts.filter((alert) => allows(alert, act));
  result.value = null;
  if (fit.length === 0) {
    if (alerts.length > 0)
      result.value = {
        act,
        outcomes: alerts.map((alert) => ({ alert, why: t().act.notAllowed(word(t().state, alert.state)) })),
        skipped: 0,
      };
    return;
  }
  const given: Order = { act, alerts: fit, done, from: document.activeElement };
  if (act === "acknowledge" && isNamed()) void give(given, "", {}, alerts.length - fit.length);
  else order.value = given;
}

const isNamed = () => session.peekUser() !== null || settings.officer.peek().trim() !== "";

async function give(given: Order, why: string, terms: Terms, skipped: number): Promise<void> {
  const outcomes = await carryOut(given.act, given.alerts, why, terms);
  const failed = outcomes.filter((outcome) => outcome.why !== null);
  if (failed.length === 0) {
    delete typed[given.act];
    order.value = null;
  } else {
    order.value =
      failed.length === outcomes.length ? order.peek() : { ...given, alerts: failed.map((outcome) => outcome.alert) };
  }
  if (why) reasons[given.act] = [why, ...(reasons[given.act] ?? []).filter((known) => known !== why)].slice(0, 3);
  result.value = { act: given.act, outcomes, skipped };
  if (failed.length === 0) (given.from as HTMLElement | null)?.focus?.();
  given.done(outcomes, given.act);
}

export const isComposing = () => order.value !== null;

/** What waits for a second officer is decided first. */
function offered(alerts: Alert[]): Act[] {
  const decides = REVIEW_ACTS.filter((act) => session.may(right(act)) && alerts.some((alert) => allows(alert, act)));
  return [...decides, ...ACTS];
}

/** The actions that alerts allow, in the same order everywhere. */
export function ActionBar({ alerts, done, small = false }: { alerts: Alert[]; done: Order["done"]; small?: boolean }) {
  // The daemon has the last word; who may only look is told so once.
  if (!session.may("alerts.work")) return small ? null : <span class="faint">{t().act.readOnly}</span>;
  return (
    <div class={`actions${small ? " actions-small" : ""}`} role="group" aria-label={t().act.bar}>
      {offered(alerts).map((act) => {
        const fit = alerts.filter((alert) => allows(alert, act)).length;
        return (
          <button
            key={act}
            type="button"
            class={`button act act-${act}`}
            disabled={fit === 0}
            title={`${word(t().action, act)}  ${KEYS[act]}`}
            aria-keyshortcuts={KEYS[act]}
            onClick={(event) => {
              event.stopPropagation();
              begin(act, alerts, done);
            }}
          >
            {word(t().action, act)}
            {!small && <kbd>{KEYS[act]}</kbd>}
          </button>
        );
      })}
    </div>
  );
}

/** The docked place. */
export function Composer() {
  const now = order.value;
  const shown = result.value;
  useKeys({
    Escape: () => {
      if (order.peek()) cancel();
      else result.value = null;
    },
  });
  useEffect(() => {
    // What went well need not be put away by hand.
    if (!shown || shown.outcomes.some((outcome) => outcome.why !== null)) return undefined;
    const timer = setTimeout(() => result.peek() === shown && (result.value = null), 5_000);
    return () => clearTimeout(timer);
  }, [shown]);
  if (!now && !shown) return <Said text="" />;
  const failed = shown?.outcomes.filter((outcome) => outcome.why !== null) ?? [];
  const doneCount = (shown?.outcomes.length ?? 0) - failed.length;
  const summary = shown
    ? [
        doneCount > 0 ? t().act.done(word(t().action, shown.act), doneCount) : "",
        failed.length > 0 ? t().act.failed(failed.length) : "",
        shown.skipped > 0 ? t().act.skipped(shown.skipped) : "",
      ]
        .filter(Boolean)
        .join(" · ")
    : "";
  return (
    <div class={`composer${failed.length > 0 ? " has-failed" : ""}`}>
      <Said text={summary} />
      {shown && (
        <div class={`result${failed.length === 0 ? " is-done" : ""}`}>
          <header>
            <span>{summary}</span>
            <button type="button" class="plain" onClick={() => (result.value = null)}>
              {t().act.close}
            </button>
          </header>
          {failed.length > 0 && (
            <ul>
              {failed.map(({ alert, why }) => (
                <li key={alert.alert_id}>
                  <Severity of={alert.severity} />
                  <a href={to("alerts", alert.alert_id)}>{alert.title}</a>
                  <span class="result-summary">{alert.summary}</span>
                  <strong>{why}</strong>
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
      {now && <Form key={now.act} order={now} />}
    </div>
  );
}

function cancel(): void {
  const from = order.peek()?.from as HTMLElement | null;
  order.value = null;
  from?.focus?.();
}

function Form({ order: given }: { order: Order }) {
  const { act, alerts } = given;
  const [why, setWhy] = useState(typed[act] ?? "");
  const [terms, setTerms] = useState<Terms>({});
  const [trouble, setTrouble] = useState("");
  const text = useRef<HTMLTextAreaElement>(null);
  const name = useRef<HTMLInputElement>(null);
  const asksName = session.user === null;
  // Before the next key can come.
  useLayoutEffect(() => (isNamed() ? text.current : name.current)?.focus(), []);
  const submit = () => {
    if (progress.peek()) return;
    if (!isNamed()) {
      setTrouble(t().act.nameNeeded);
      name.current?.focus();
    } else if (needsWhy(act) && why.trim() === "") {
      setTrouble(t().act.needed);
      text.current?.focus();
    } else if (missing(act, terms)) {
      setTrouble(missing(act, terms)!);
    } else {
      setTrouble("");
      void give(given, why.trim(), terms, 0);
    }
  };
  const type = (value: string) => {
    typed[act] = value;
    setWhy(value);
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && !event.isComposing) {
      event.preventDefault();
      event.stopPropagation();
      cancel();
    }
  };
  const { value: step } = progress;
  return (
    <form
      class="order"
      aria-label={word(t().action, act)}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={keys}
    >
      <div class="order-what">
        <strong>{t().act.of(word(t().action, act), alerts.length)}</strong>
        {alerts.length === 1 && <span>{alerts[0]!.title}</span>}
        {(act === "confirm" || act === "dismiss") && alerts.some((alert) => alert.state === "open") && (
          <small>{t().act.both}</small>
        )}
      </div>
      {asksName && (
        <label class="order-name">
          <span>{t().act.name}</span>
          <input
            ref={name}
            name="who"
            autoComplete="name"
            maxLength={100}
            value={settings.officer.value}
            onInput={(event) => (settings.officer.value = event.currentTarget.value)}
          />
        </label>
      )}
      <TermsOf act={act} alerts={alerts} terms={terms} change={setTerms} />
      <label class="order-why">
        <span>{word(t().act.why, act)}</span>
        <textarea
          ref={text}
          name="why"
          rows={2}
          maxLength={4000}
          value={why}
          aria-invalid={trouble !== ""}
          aria-describedby="order-hint"
          onInput={(event) => type(event.currentTarget.value)}
        />
      </label>
      {(reasons[act] ?? []).length > 0 && why === "" && (
        <div class="reasons">
          {reasons[act]!.map((reason) => (
            <button key={reason} type="button" class="chip" onClick={() => (type(reason), text.current?.focus())}>
              {t().act.repeat} “{reason.length > 24 ? `${reason.slice(0, 24)}…` : reason}”
            </button>
          ))}
        </div>
      )}
      <footer>
        <small id="order-hint" class={trouble ? "trouble" : ""} role={trouble ? "alert" : undefined}>
          {trouble || (step ? t().act.working(step.done, step.all) : t().act.hint)}
        </small>
        <button type="button" class="button" onClick={cancel}>
          {t().act.cancel}
        </button>
        <button type="submit" class="button is-main" disabled={step !== null}>
          {t().act.of(word(t().action, act), alerts.length)}
        </button>
      </footer>
    </form>
  );
}
