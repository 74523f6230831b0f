// The rule lab: other constants of a rule over what the journal holds, beside the rule as it is.
import { useEffect, useState } from "preact/hooks";
import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { Backtest, BacktestForm, BacktestList, BacktestResult, Finding } from "../../api/types";
import { count, percent } from "../../format/money";
import { day } from "../../format/time";
import { to } from "../../router";
import { t } from "../../text";
import { Panel, Time } from "../../ui/parts";
import { Propose } from "../../ui/propose";

/** How often a trial that runs is asked how far it is. */
const POLL = 700;
/** Findings that are shown of those added and gone. */
const SHOWN = 20;

type Params = Record<string, unknown>;

/** The constants that are numbers, as they are written. */
export const numbers = (params: Params): [string, string][] =>
  Object.entries(params).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string" && /^-?\d+(\.\d+)?$/.test(entry[1]),
  );

/** Where a slider for a value ends, and its step: about a hundred steps up to three times the value, in its own digits. */
function slider(present: string): { max: number; step: number } {
  const value = Math.abs(Number(present)) || 1;
  const digits = present.split(".")[1]?.length ?? 0;
  const finest = digits === 0 ? 1 : 10 ** -(digits + 1);
  const step = Math.max(finest, 10 ** Math.floor(Math.log10((value * 3) / 100)));
  return { max: Math.ceil((value * 3) / step) * step, step };
}

/** A number as exact text, without an exponent. */
const written = (value: number, step: number): string =>
  value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));

export function Lab({ rule, params }: { rule: string; params: Params }) {
  const said = t().lab;
  const present = numbers(params);
  const [values, setValues] = useState<Record<string, string>>({});
  const [trouble, setTrouble] = useState("");
  const [job, setJob] = useState<Backtest | null>(null);
  const before = useLoad(`trials of ${rule}`, (stop) => ask<BacktestList>("/backtests", {}, { stop }));
  const latest = before.data?.backtests.find((one) => one.rule === rule)?.id ?? null;
  const shown = job?.id ?? latest;
  const loaded = useLoad(shown === null ? null : `trial ${shown}`, (stop) =>
    ask<Backtest>(`/backtests/${shown}`, {}, { stop }),
  );
  const now = loaded.data ?? job;
  const runs = now?.state === "running";
  const { again } = loaded;
  useEffect(() => {
    if (!runs) return undefined;
    const timer = setTimeout(again, POLL);
    return () => clearTimeout(timer);
  }, [runs, now]);

  const tried = now?.params as Params | undefined;
  const value = (name: string, as: string) => values[name] ?? tried?.[name]?.toString() ?? as;
  const others = Object.fromEntries(
    present.flatMap(([name, as]) => (value(name, as) === as ? [] : [[name, value(name, as)]])),
  );
  const begin = async () => {
    setTrouble("");
    try {
      setJob(await send<Backtest>("POST", "/backtests", { rule, params: others }));
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  const stop = async () => {
    try {
      await send("DELETE", `/backtests/${now!.id}`);
    } catch (error) {
      setTrouble((error as Error).message);
    }
    again();
  };
  return (
    <Panel title={said.title} lead={said.lead}>
      <form
        class="lab"
        onSubmit={(event) => {
          event.preventDefault();
          void begin();
        }}
      >
        {present.map(([name, as]) => {
          const { max, step } = slider(as);
          const set = (text: string) => setValues((all) => ({ ...all, [name]: text }));
          return (
            <div class="lab-row" key={name}>
              <label for={`lab-${name}`}>
                <code>${name}</code>
                <span class="faint">{said.now(as)}</span>
              </label>
              <input
                type="range"
                aria-label={said.slide(name)}
                min={0}
                max={max}
                step={step}
                value={Number(value(name, as))}
                onInput={(event) => set(written(event.currentTarget.valueAsNumber, step))}
              />
              <input
                id={`lab-${name}`}
                inputMode="decimal"
                pattern="-?[0-9]+([.][0-9]+)?"
                required
                value={value(name, as)}
                onInput={(event) => set(event.currentTarget.value.trim())}
              />
            </div>
          );
        })}
        <div class="form-foot">
          {trouble && (
            <span class="trouble" role="alert">
              {trouble}
            </span>
          )}
          <button
            type="button"
            class="button"
            disabled={Object.keys(others).length === 0}
            onClick={() => setValues(Object.fromEntries(present))}
          >
            {said.back}
          </button>
          <button type="submit" class="button is-main" disabled={runs || Object.keys(others).length === 0}>
            {said.begin}
          </button>
        </div>
      </form>
      {now && runs && (
        <div class="lab-progress" role="status">
          <progress max={now.progress.of || 1} value={now.progress.events} aria-label={said.title} />
          <span>{said.progress(now.progress.events, now.progress.of)}</span>
          <button type="button" class="button" onClick={() => void stop()}>
            {said.stop}
          </button>
        </div>
      )}
      {now?.state === "stopped" && <p role="status">{said.stopped}</p>}
      {now?.error && (
        <p class="trouble" role="alert">
          {now.error}
        </p>
      )}
      {now?.result && <Outcome of={now.result} params={now.params as Params} />}
      {now?.result && session.may("rules.propose") && Object.keys(now.params as Params).length > 0 && (
        <Proposal key={now.id} rule={rule} params={now.params as Params} />
      )}
    </Panel>
  );
}

/** What was tried, to be proposed to another person. */
function Proposal({ rule, params }: { rule: string; params: Params }) {
  const said = t().lab;
  const [state, setState] = useState<"" | "open" | "done">("");
  if (state === "done")
    return (
      <p role="status" class="lab-change">
        {said.proposed} <a href="/rule-sets">{t().nav.ruleSets}</a>
      </p>
    );
  if (state === "")
    return (
      <p>
        <button type="button" class="button is-main" onClick={() => setState("open")}>
          {said.propose}
        </button>
      </p>
    );
  return (
    <>
      <p class="faint">{said.proposeLead}</p>
      <Propose path="/rule-sets" body={{ params: { [rule]: params } }} done={() => setState("done")} />
    </>
  );
}

/** What came of a trial. */
function Outcome({ of, params }: { of: BacktestResult; params: Params }) {
  const said = t().lab;
  const rows: [string, (form: BacktestForm) => string][] = [
    [t().rules.columns.findings, (form) => count(form.findings)],
    [said.alerts, (form) => count(form.alerts)],
    [said.aDay, (form) => form.alerts_a_day.toFixed(2)],
    [t().rules.columns.verdicts, (form) => `${count(form.confirmed)} / ${count(form.dismissed)}`],
    [t().rules.columns.precision, (form) => (form.precision == null ? t().empty : percent(form.precision))],
    [t().rules.columns.errors, (form) => count(form.errors)],
  ];
  const tried = Object.entries(params)
    .map(([name, one]) => `$${name} = ${String(one)}`)
    .join(", ");
  return (
    <div role="status">
      {of.from && of.to && <p class="foot-note">{said.span(day(of.from), day(of.to))}</p>}
      <div class="table-place" tabIndex={0} role="group" aria-label={said.title}>
        <table class="table lab-forms">
          <thead>
            <tr>
              <td />
              <th scope="col">{said.present}</th>
              <th scope="col">
                {said.tried} <code>{tried}</code>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, show]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{show(of.present)}</td>
                <td>{show(of.tried)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="lab-change">{said.change(of.added, of.gone, of.kept)}</p>
      <Findings title={said.added} all={of.added} findings={of.added_findings} />
      <Findings title={said.gone} all={of.gone} findings={of.gone_findings} />
    </div>
  );
}

function Findings({ title, all, findings }: { title: string; all: number; findings: Finding[] }) {
  if (findings.length === 0) return null;
  return (
    <details class="lab-findings">
      <summary>
        {title} <span class="faint">{count(all)}</span>
      </summary>
      <ul>
        {findings.slice(0, SHOWN).map((finding) => (
          <li key={finding.finding_id}>
            <Time at={finding.at} />{" "}
            {finding.event_id ? <a href={to("payments", finding.event_id)}>{finding.summary}</a> : finding.summary}
          </li>
        ))}
      </ul>
      {all > SHOWN && <p class="foot-note">{t().lab.more(all - SHOWN)}</p>}
    </details>
  );
}
